/* The least that reading containers can cost: the same files, descriptors kept, every number parsed.
 *
 * Input: a line a container, the paths of its files between blanks; an empty line ends the list.
 * After that each line asks for one round and is answered by the round's CPU time in ns and the sum
 * of all numbers, so that no parsing can be left out.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char buffer[65536];

static uint64_t numbers(int fd)
{
	ssize_t got = pread(fd, buffer, sizeof buffer - 1, 0);
	uint64_t sum = 0, number = 0;
	int inside = 0;

	if (got < 0) {
		perror("pread");
		exit(1);
	}
	for (const char *at = buffer; at < buffer + got; at++) {
		if (*at >= '0' && *at <= '9') {
			number = number * 10 + (uint64_t)(*at - '0');
			inside = 1;
		} else if (inside) {
			sum += number;
			number = 0;
			inside = 0;
		}
	}
	return sum + number;
}

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int main(void)
{
	static int fds[65536];
	int count = 0;
	char line[65536];

	while (fgets(line, sizeof line, stdin) && line[0] != '\n')
		for (char *path = strtok(line, " \n"); path; path = strtok(NULL, " \n")) {
			if ((fds[count++] = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
				perror(path);
				return 1;
			}
		}
	while (fgets(line, sizeof line, stdin)) {
		uint64_t began = cpu_ns(), sum = 0;

		for (int i = 0; i < count; i++)
			sum += numbers(fds[i]);
		printf("%llu %llu\n", (unsigned long long)(cpu_ns() - began), (unsigned long long)sum);
		fflush(stdout);
	}
	return 0;
}
