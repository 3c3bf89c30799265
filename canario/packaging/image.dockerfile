# How a Bento becomes an image: `canario build --image` and `bentoml containerize` both follow this.
# The libraries come before the version, so that the next version of a model, with the same libraries, is a thin layer.
# The last step of theirs compiles what they import of Python's own library, which the base leaves to the first start.
# Builds may be given two secrets, which stay out of every layer: `certificates` (a bundle of authorities to trust) and
# `pip` (a pip configuration, for another package index).
ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS libraries
COPY src/serving.txt /opt/canario/
RUN --mount=type=secret,id=certificates --mount=type=secret,id=pip \
    if [ -f /run/secrets/certificates ]; then export PIP_CERT=/run/secrets/certificates; fi; \
    if [ -f /run/secrets/pip ]; then export PIP_CONFIG_FILE=/run/secrets/pip; fi; \
    export PYTHONDONTWRITEBYTECODE=1; \
    python3 -m venv --without-pip /opt/canario \
    && python3 -m pip --python /opt/canario/bin/python install --quiet --no-deps --no-compile --no-cache-dir \
        --only-binary :all: --disable-pip-version-check --root-user-action ignore --requirement /opt/canario/serving.txt \
    && find /opt/canario -depth -type d '(' -name tests -o -name test ')' -exec rm -rf '{}' + \
    && /opt/canario/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/canario/lib \
    && env -u PYTHONDONTWRITEBYTECODE /opt/canario/bin/python -c 'import grpc.aio, jinja2, onnxruntime, sqlite3, uvicorn, yaml'

FROM libraries AS version
COPY src/ /srv/model/
RUN /opt/canario/bin/python -m compileall -q --invalidation-mode unchecked-hash /srv/model/canario \
    && mkdir /srv/home && mkdir -m 1777 /srv/home/canario

FROM libraries
COPY --from=version /srv/home/ /var/lib/
COPY --from=version /srv/model /srv/model
ENV CANARIO_HOME=/var/lib/canario PYTHONPATH=/srv/model PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 ORT_DISABLE_TELEMETRY=1
WORKDIR /srv/model
USER 65532:65532
EXPOSE 3000 3001 3002
ENTRYPOINT ["/opt/canario/bin/python", "-m", "canario.serving", "--version-folder", "/srv/model/version", "--host", "0.0.0.0", "--http-port", "3000", "--grpc-port", "3001", "--operator-port", "3002"]
ARG BASE_IMAGE
LABEL org.opencontainers.image.base.name="${BASE_IMAGE}"
