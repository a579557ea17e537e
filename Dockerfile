# syntax=docker/dockerfile:1
# docs/container.md tells how to run it, and how it is built where no registry of images is at hand.
ARG NODE_IMAGE=docker.io/library/node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
# where a proxy of the site has certificates of its own: the file that npm is to trust
ARG NODE_EXTRA_CA_CERTS
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
COPY plugins plugins
COPY routes routes
COPY viewer viewer
RUN npm run build

# A PACS with sample studies, a HIS and a CD publisher, for trying it (docker compose --profile demo)
FROM build AS demo
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends dcmtk orthanc tini \
 && rm -rf /var/lib/apt/lists/*
COPY demo demo
RUN mkdir /var/lib/mkiso-demo && chown node:node /var/lib/mkiso-demo
USER node
ENTRYPOINT ["tini", "--", "node", "--import", "tsx", "demo/neighbours.ts"]

FROM build AS pruned
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
# stunnel4 for DICOM over TLS (pacs.tls, cd_publisher.tls); it brings Perl, 94 MB
ARG EXTRA_PACKAGES=
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends dcmtk genisoimage xorriso libgdcm-tools tini util-linux ${EXTRA_PACKAGES} \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY LICENSE package.json ./
COPY config/mkiso.example.yaml config/
COPY --from=pruned /app/node_modules node_modules
COPY --from=pruned /app/dist dist
# the one place that is written to
RUN mkdir /var/lib/mkiso && chown node:node /var/lib/mkiso && chmod 0700 /var/lib/mkiso
USER node
ENV NODE_ENV=production MKISO_ISO__TEMP_DIR=/var/lib/mkiso TMPDIR=/var/lib/mkiso
VOLUME /var/lib/mkiso
# HTTP, and where the PACS sends to (our_ae.base_port)
EXPOSE 8080 10104
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["node", "-e", "fetch('http://127.0.0.1:8080/api/health/live').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tini", "--", "node", "dist/src/main.js"]
CMD ["--config", "/etc/mkiso/mkiso.yaml"]
