"""Builds the image with RabbitMQ for tests on a cluster, of Debian's package; how it runs is for the tests.

`python -m tests.cluster.rabbitmq_image` builds it and prints its name. Other processes may ask at the same time: the
first one builds, the others wait for it.
"""

from __future__ import annotations

import sys

from tests.cluster.package_images import package_image

RABBITMQ_IMAGE = "localhost/rabbitmq:e2e"
PACKAGES = ("rabbitmq-server",)
USER_ID = 1000
"""Who runs it. Erlang keeps a secret in its home, so it has one, which is writable."""
_CONTAINERFILE = """FROM {base}
RUN export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/sbin:$PATH \\
 && printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \\
 && apt-get update -qq \\
 && apt-get install -y -qq --no-install-recommends {packages} \\
 && useradd --uid {user} --no-create-home --home-dir /data broker \\
 && mkdir /data && chown {user} /data \\
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /usr/share/doc /usr/share/locale /usr/share/man
ENV PATH=/usr/lib/rabbitmq/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 HOME=/data
LABEL {label}={key}
USER {user}
WORKDIR /data
"""


def rabbitmq_image() -> str:
    """The name of the image in buildah's store; made when this recipe has not been followed yet.

    It has `rabbitmq-server`, `rabbitmqctl` and `rabbitmq-diagnostics` on its PATH.
    """
    return package_image(RABBITMQ_IMAGE, _CONTAINERFILE, PACKAGES, USER_ID)


if __name__ == "__main__":
    sys.stdout.write(rabbitmq_image() + "\n")
