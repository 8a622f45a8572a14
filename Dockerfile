# vceval in a container, for a user without rights.
#   docker build -t vceval .                                    torch as the public index has it, for CUDA and for processors
#   docker build -t vceval --build-arg TORCH_INDEX=ADDRESS .    torch of PyTorch's own index for processors, or for one CUDA
#   docker run --rm -v "$PWD:/data" vceval run                  runs, checkpoints and caches lie in /data
ARG PYTHON=3.12.11-slim-bookworm

FROM python:${PYTHON} AS build
ARG TORCH_INDEX=""
# pyworld and webrtcvad are built from source
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/* \
    && python -m venv /opt/vceval
ENV PATH=/opt/vceval/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY constraints.txt ./
RUN pip install -c constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch torchaudio
COPY . .
RUN pip install -c constraints.txt '.[mos,faster-whisper,chinese]'

FROM python:${PYTHON}
COPY --from=build /opt/vceval /opt/vceval
RUN useradd --create-home --uid 1000 vceval && install -d -o vceval -g vceval /data
ENV PATH=/opt/vceval/bin:$PATH VCEVAL_CACHE=/data/.vceval/cache VCEVAL_CHECKPOINTS=/data/.vceval/checkpoints
USER 1000
WORKDIR /data
VOLUME /data
ENTRYPOINT ["vceval"]
CMD ["--help"]
