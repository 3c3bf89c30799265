"""Builds the image with Prometheus, Alertmanager and PostgreSQL for tests on a cluster, of Debian's packages; how they run is for the tests.

`python -m tests.cluster.monitoring_images` builds it and prints its name. Other processes may ask at the same time: the
first one builds, the others wait for it.
"""

from __future__ import annotations

import sys

from tests.cluster.package_images import package_image

MONITORING_IMAGE = "localhost/monitoring:e2e"
PACKAGES = ("prometheus", "prometheus-alertmanager", "postgresql-15")
USER_ID = 1000
"""Who runs all three. PostgreSQL wants a user that has a name."""
_CONTAINERFILE = """FROM {base}
RUN export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/sbin:$PATH \\
 && printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \\
 && mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf \\
 && apt-get update -qq \\
 && apt-get install -y -qq --no-install-recommends {packages} \\
 && useradd --uid {user} --no-create-home --home-dir /data monitoring \\
 && mkdir /data && chown {user} /data \\
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /usr/share/doc /usr/share/locale /usr/share/man
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8
LABEL {label}={key}
USER {user}
WORKDIR /data
"""


def monitoring_image() -> str:
    """The name of the image in buildah's store; made when this recipe has not been followed yet.

    It has `prometheus`, `promtool`, `prometheus-alertmanager`, `amtool`, `initdb`, `postgres` and `psql` on its PATH.
    """
    return package_image(MONITORING_IMAGE, _CONTAINERFILE, PACKAGES, USER_ID)


if __name__ == "__main__":
    sys.stdout.write(monitoring_image() + "\n")
