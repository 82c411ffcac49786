# JupyterLab with the course inside, as an ordinary user; it finds RabbitMQ at WORKQ_BROKER_URL.
ARG BASE=python:3.13-slim
FROM ${BASE}

USER root
RUN id jovyan >/dev/null 2>&1 || useradd --uid 1000 --create-home --shell /bin/bash jovyan; \
    install --directory --owner=jovyan /srv/environment
USER jovyan
WORKDIR /home/jovyan
ENV PATH=/srv/environment/bin:$PATH
COPY --chown=jovyan . .
# Settings of pip that differ from its own, such as a mirror's address; Compose fills them in from the environment.
ARG PIP_INDEX_URL
ARG PIP_NO_BUILD_ISOLATION
RUN python3 -m venv /srv/environment \
    && pip install --no-cache-dir --disable-pip-version-check --requirement binder/requirements.txt \
    && binder/postBuild

EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser"]
