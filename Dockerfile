FROM python:3.11-slim AS build
WORKDIR /src
# true: with all extras: pictures, elsewhere and postgres, 115 MB more.
ARG EXTRAS=false
COPY requirements.lock requirements-extras.lock ./
RUN if [ "$EXTRAS" = true ]; then lock=requirements-extras.lock; else lock=requirements.lock; fi \
 && pip install --no-cache-dir --require-hashes --target /packages -r "$lock"
COPY pyproject.toml README.md LICENSE ./
COPY target target
COPY exporter exporter
COPY receiver receiver
COPY recovery recovery
COPY sermon_monitor sermon_monitor
COPY monitoring monitoring
COPY deploy deploy
COPY .github/workflows/rollback.yml .github/workflows/rollback.yml
# pip does not add to a bin that is there; the scripts of other packages are not needed.
RUN rm -rf /packages/bin \
 && PYTHONPATH=/packages pip install --no-cache-dir --no-deps --no-build-isolation --target /packages .

FROM python:3.11-slim
LABEL org.opencontainers.image.title="Sermon Monitor" \
      org.opencontainers.image.source="https://github.com/White-Plains-Gospel-Chapel/sermon-monitor" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /packages /opt/sermon-monitor
# The byte code is in the image: the container may not write there.
ENV PYTHONPATH=/opt/sermon-monitor \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATH=/opt/sermon-monitor/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    STATE_DIR=/var/lib/sermon-monitor
# A new volume takes its owner from these directories. Whoever is in the group may read the secrets.
RUN groupadd --gid 10001 sermon-monitor \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sermon-monitor \
 && install -d -o 10001 -g 10001 -m 0750 /secrets /var/lib/sermon-monitor
USER 10001:10001
VOLUME /var/lib/sermon-monitor
EXPOSE 10980 5001
# Asks the process beside it, past any proxy, where EXPORTER_LISTEN or RECEIVER_LISTEN says, by TLS where it has that.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "-I", "/opt/sermon-monitor/sermon_monitor/alive.py"]
ENTRYPOINT ["sermon-monitor"]
CMD ["serve"]
