"""The compose files of the two layouts: application and MinIO apart, and both in one container."""

from __future__ import annotations

_HEALTH = """\
    healthcheck:
      test: ["CMD", "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8000; printf 'GET /api/health HTTP/1.0\\r\\n\\r\\n' >&3; read -r line <&3; [[ $$line == *' 200 '* ]]"]
      interval: 500ms
      retries: {retries}
"""
PATIENT, SHORT = 120, 20
"""Failed checks until the Engine says unhealthy: a machine under load starts an app slowly. A shell is
cheap: two of these checks run in every second of the tests."""
APP = """\
  {service}:
    image: {image}
{name}    restart: "no"
    stop_grace_period: 2s
    mem_limit: 96m
    environment:
      ROLE: {role}
    ports:
      - "127.0.0.1:{app_port}:8000"
"""
APART = (
    APP
    + """\
    depends_on:
      - minio
"""
    + _HEALTH
    + """\
  minio:
    image: {minio_image}
    container_name: sermon-uploader-minio
    restart: "no"
    stop_grace_period: 2s
    environment:
      ROLE: minio
    ports:
      - "127.0.0.1:{minio_port}:9000"
    volumes:
      - sermons:/data
    healthcheck:
      disable: true
"""
)
SINGLE = (
    APP
    + """\
      - "127.0.0.1:{minio_port}:9000"
    volumes:
      - sermons:/data
"""
    + _HEALTH
)
