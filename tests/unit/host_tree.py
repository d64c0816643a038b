"""The files of a Raspberry Pi 4's /proc and /sys, as a tree of their own."""

from __future__ import annotations

from pathlib import Path

STAT = b"""cpu  300 0 150 900 10 0 5 1 7 0
cpu0 100 0 50 400 10 0 5 1 7 0
cpu2 200 5 50 50012 0 0 0 0 0 0
cpu3 broken
cpux 1 2 3 4 5 6 7 8 9 10
intr 390448 0 17 4
ctxt 923147
btime 1767366245
processes 16853
procs_running 2
procs_blocked 0
softirq 222185 0 31012
"""
MEMINFO = b"""MemTotal:        3884388 kB
MemFree:          123456 kB
MemAvailable:    2310000 kB
Active(anon):      10240 kB
nonsense
X: y kB
HugePages_Total:       3
"""
VMSTAT = b"""nr_free_pages 30864
pgpgin 1564589
pgpgout 1791768
pswpin 0
pswpout 7
pgfault 5763788
pgmajfault 1491
oom_kill 1
thp_fault_alloc 9
"""
NET_DEV = b"""Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
  eth0:1000 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
veth12ab: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
eth0:1: 5 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
broken: 1 2
words: a b c d e f g h i j k l m n o p
"""
DISKSTATS = b"""   7       0 loop0 1 2 3 4 5 6 7 8 9 10 11
 179       0 mmcblk0 100 5 2048 1500 50 7 4096 2500 3 4000 4001 1 2 3 4 5 6
   8       1 sda1 1 2 3 4 5 6 7 8 9 10 11
   8       0 sda 1 2 3 4 5 6 7 8 9 10 11
   8      16 sdb
   8      32 sdc a b c d e f g h i j k
"""
MOUNTINFO = b"""21 1 0:20 / / rw,relatime - overlay overlay rw
22 21 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw
23 22 0:21 / /proc rw - proc proc rw
24 22 0:22 / /run rw - tmpfs tmpfs rw
25 22 179:1 / /boot/firmware ro,relatime shared:2 master:1 - vfat /dev/mmcblk0p1 rw
26 22 8:1 / /opt/minio\\040data rw - ext4 /dev/sda1 rw,rodata=full
27 22 0:30 / /var/lib/docker/overlay2/abc/merged rw - overlay overlay rw
28 22 179:2 /x /var/lib/docker/volumes/x rw - ext4 /dev/mmcblk0p2 rw
29 22 0:31 / /var/lib/lxcfs rw - fuse.lxcfs lxcfs rw
30 22 0:32 / /mnt/archive rw - nfs4 nas:/archive ro,vers=4.2
31 22 half a line
"""
UDEV = b"""S:disk/by-id/mmc-SC64G
E:ID_PATH=platform-fe340000.mmc
E:ID_SERIAL=0x1234abcd
E:ID_MODEL=
nonsense
"""

FILES: dict[str, bytes] = {
    "proc/stat": STAT,
    "proc/meminfo": MEMINFO,
    "proc/vmstat": VMSTAT,
    "proc/loadavg": b"0.25 1.50 12.00 1/234 5678\n",
    "proc/pressure/cpu": b"some avg10=0.23 avg60=0.32 avg300=1.61 total=40099951\n"
    b"full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "proc/pressure/io": b"some avg10=0.00 avg60=0.00 avg300=0.00 total=5349793\n"
    b"full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
    "proc/pressure/memory": b"some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    b"full avg10=0.00 avg60=0.00 avg300=0.00 total=24709\n",
    "proc/sys/fs/file-nr": b"602\t0\t9223372036854775807\n",
    "proc/sys/kernel/domainname": b"(none)\n",
    "proc/sys/kernel/panic_on_warn": b"0\n",
    "proc/1/net/dev": NET_DEV,
    "proc/diskstats": DISKSTATS,
    "proc/1/mountinfo": MOUNTINFO,
    "root/etc/hostname": b"pi\n",
    "root/run/udev/data/b179:0": UDEV,
    "root/sys/block/mmcblk0/queue/rotational": b"0\n",
    "root/sys/block/sda/queue/rotational": b"1\n",
    "root/sys/class/thermal/thermal_zone0/type": b"cpu-thermal\n",
    "root/sys/class/thermal/thermal_zone0/temp": b"48686\n",
    "root/sys/class/thermal/thermal_zone1/type": b"off\n",
    "root/sys/class/thermal/cooling_device0/type": b"pwm-fan\n",
    "root/sys/class/thermal/cooling_device0/cur_state": b"1\n",
    "root/sys/class/thermal/cooling_device0/max_state": b"4\n",
    "root/sys/class/hwmon/hwmon0/name": b"cpu_thermal\n",
    "root/sys/class/hwmon/hwmon1/name": b"rpi_volt\n",
    "root/sys/class/hwmon/hwmon1/in0_lcrit_alarm": b"0\n",
    "root/sys/devices/platform/soc/soc:firmware/get_throttled": b"80002\n",
    "root/sys/devices/system/clocksource/clocksource0/current_clocksource": b"arch_sys_counter\n",
    "root/sys/devices/system/clocksource/clocksource0/available_clocksource": b"arch_sys_counter \n",
    "root/sys/firmware/devicetree/base/model": b"Raspberry Pi 4 Model B Rev 1.4\0",
}


def plant(directory: Path, files: dict[str, bytes] | None = None) -> tuple[Path, Path]:
    """Write the files below ``directory``; its PROC_ROOT and its ROOTFS."""
    for name, content in (FILES if files is None else files).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for point in ("boot/firmware", "opt/minio data"):
        (directory / "root" / point).mkdir(parents=True, exist_ok=True)
    return directory / "proc", directory / "root"
