"""The layers of graft's sources: which folder may include which, and which libraries.

A layer is a folder; a file belongs to the deepest layer above it. `folders` are the layers whose headers it may
include besides its own, `libraries` the outside libraries (names of LIBRARIES below); the C++ library and POSIX are
everyone's. Add a line here when a folder is added, and keep the arrows pointing one way.
"""

# An outside library is known by how its headers' paths start.
LIBRARIES = {
    "grpc": ("grpc/", "grpcpp/", "grpc++/"),
    "protobuf": ("google/protobuf/", "google/rpc/"),
    "torch": ("torch/", "ATen/", "c10/", "caffe2/"),
    "prometheus": ("prometheus/",),
    "boost": ("boost/",),
    "sqlite": ("sqlite3",),
    "postgres": ("libpq", "postgresql/"),
    "spdlog": ("spdlog/", "fmt/"),
    "absl": ("absl/",),
    "cli11": ("CLI/",),
    "yaml": ("yaml-cpp/",),
    "openssl": ("openssl/",),
    "curl": ("curl/",),
    "json": ("nlohmann/",),
    "zlib": ("zlib",),
    "gtest": ("gtest/", "gmock/"),
}

# CMake targets of the same libraries, by the start of their names.
TARGETS = {
    "grpc": ("gRPC::",),
    "protobuf": ("protobuf::",),
    "torch": ("Libtorch::",),
    "prometheus": ("prometheus-cpp::",),
    "boost": ("Boost::",),
    "sqlite": ("SQLite::", "SQLite3::"),
    "postgres": ("PostgreSQL::",),
    "spdlog": ("spdlog::", "fmt::"),
    "absl": ("absl::",),
    "cli11": ("CLI11::",),
    "yaml": ("yaml-cpp",),
    "openssl": ("OpenSSL::",),
    "curl": ("CURL::",),
    "json": ("nlohmann_json::",),
    "zlib": ("ZLIB::",),
    "gtest": ("GTest::",),
}


class Layer:
    def __init__(self, folders="", libraries=""):
        self.folders = set(folders.split())
        self.libraries = set(libraries.split())


_ROOMS = ("serving/generation types loop serving/scheduler device kernels model families adapters methods tasks artifacts "
          "caches passes training serving")


def _rooms(names):
    """The engine's rooms of these names, and common with what becomes of a base's chats."""
    return "common common/templates common/language " + " ".join("worker/engine/" + name for name in names.split())


RPC = "grpc protobuf boost spdlog json openssl absl"

LAYERS = {
    # proto/graft/v1/*.proto is included as "graft/v1/*.pb.h"; beside it stands what both ends of a call share.
    "proto": Layer("common", "grpc protobuf"),
    "common": Layer("", "json zlib"),
    "common/command_line": Layer("common", "cli11"),
    "common/logging": Layer("common", "spdlog json"),
    # The only place that calls a collector.
    "common/otlp": Layer("common", "curl spdlog json"),
    "common/templates": Layer("common", "json"),
    "common/language": Layer("common common/templates", "json"),
    # A version brings its chat template.
    "common/artifacts": Layer("common common/templates", "json"),
    "server/core": Layer("common", "json"),
    "server/stores": Layer("common server/core", "sqlite postgres spdlog json"),
    "server/supervisor": Layer("common common/logging server/core", "boost spdlog json"),
    "server/intake": Layer("common common/artifacts common/templates common/language server/core", "spdlog json"),
    # Files that another program reads: bytes by its format, without its libraries.
    "server/tensorboard": Layer("common server/core"),
    # Calls of any protocol: no gRPC, no messages.
    "server/calls": Layer("common common/logging server/core", "boost openssl spdlog"),
    "server/background": Layer("common common/logging proto server/core server/intake server/tensorboard server/calls",
                               "grpc protobuf boost spdlog json"),
    # Methods are coroutines over messages; what they are called by is another layer's.
    "server/service": Layer("common common/artifacts common/logging proto server/core server/intake server/calls server/background",
                            "protobuf boost spdlog json"),
    "server/rpc": Layer("common proto server/calls server/service", "grpc protobuf boost json"),
    # Connections, requests and routes, of whatever there is; then what there is.
    "server/http": Layer("common server/calls", "boost spdlog json openssl"),
    # Makes, for the build, what server/rest serves.
    "server/document": Layer("common", "json yaml"),
    "server/rest": Layer("common proto server/core server/calls server/service server/http", "protobuf boost json openssl spdlog"),
    "server/app": Layer(
        "common common/command_line common/logging common/otlp proto server/core server/stores server/supervisor server/intake server/tensorboard "
        "server/calls server/background server/service server/rpc server/http server/rest",
        RPC + " prometheus yaml",
    ),
    # The engine's rooms, from the ground up: each includes what stands above it in this list, as far as it says.
    "worker/engine/types": Layer(_rooms("serving/generation"), "json"),
    "worker/engine/loop": Layer("common"),
    # Which texts a pass computes: pure, without torch.
    "worker/engine/serving/scheduler": Layer(),
    # How tokens are chosen, when text ends, which sequences a step computes: alike.
    "worker/engine/serving/generation": Layer("common"),
    "worker/engine/device": Layer("common", "torch"),
    "worker/engine/kernels": Layer(_rooms("device"), "torch"),
    "worker/engine/model": Layer(_rooms("serving/generation device kernels"), "torch json"),
    "worker/engine/families": Layer(_rooms("device kernels model"), "torch json"),
    "worker/engine/adapters": Layer(_rooms("device kernels model"), "torch json"),
    "worker/engine/methods": Layer(_rooms("device kernels model adapters"), "torch json"),
    "worker/engine/tasks": Layer(_rooms("types device kernels model"), "torch json"),
    "worker/engine/artifacts": Layer("common/artifacts " + _rooms("types device model adapters methods"), "torch json"),
    "worker/engine/caches": Layer(_rooms("types device model families adapters tasks"), "torch json"),
    "worker/engine/passes": Layer(_rooms("types loop serving/generation device kernels model adapters tasks caches"), "torch json"),
    "worker/engine/training": Layer(
        _rooms("types loop serving/generation device kernels model adapters methods tasks artifacts caches passes"),
        "torch json"),
    "worker/engine/serving": Layer(
        _rooms("types loop serving/scheduler serving/generation device kernels model adapters tasks caches passes"),
        "torch json"),
    # The face that others see, and what puts the rooms together.
    "worker/engine": Layer(_rooms(_ROOMS), "torch json"),
    "worker/agent": Layer("common common/artifacts common/templates proto worker/engine worker/engine/types", RPC),
    "worker/app": Layer("common common/command_line common/logging common/otlp proto worker/engine worker/engine/types worker/agent", RPC + " prometheus"),
    "client/lib": Layer("common proto", "grpc protobuf json absl"),
    "client/cli": Layer("common common/artifacts common/command_line proto client/lib", "grpc protobuf json absl spdlog"),
}

# Tests may see what their subject's side sees, and googletest. What stands above the sides may see all.
_SERVER = ("server/core server/stores server/supervisor server/intake server/tensorboard server/calls server/background server/service "
           "server/rpc server/http server/rest server/app")
_WORKER = _rooms(_ROOMS) + " worker/engine worker/agent worker/app"
LAYERS.update({
    "tests/support": Layer("common", "gtest json"),
    "tests/common": Layer("common common/artifacts common/command_line common/templates common/language tests/support",
                          "gtest json zlib"),
    "tests/common/logging": Layer("common common/logging", "gtest spdlog json"),
    "tests/common/otlp": Layer("common common/otlp tests/support", "gtest json"),
    "tests/proto": Layer("common proto", RPC + " gtest"),
    "tests/server": Layer("common common/artifacts proto tests/support " + _SERVER,
                          RPC + " gtest sqlite postgres prometheus yaml"),
    "tests/worker": Layer("common common/artifacts proto tests/support " + _WORKER, RPC + " gtest torch prometheus"),
    "tests/worker/engine/serving/scheduler": Layer("worker/engine/serving/scheduler", "gtest"),
    "tests/worker/engine/serving/generation": Layer("common worker/engine/serving/generation", "gtest json"),
    "tests/worker/engine": Layer("common/artifacts common/templates tests/support worker/engine " + _rooms(_ROOMS), "gtest torch json"),
    "tests/client": Layer("common common/command_line proto tests/support client/lib client/cli", RPC + " gtest"),
})

# Folders whose programs put everything together, or stand beside graft.
UNRESTRICTED = ("tests/integration", "tests/chaos", "tests/fuzz", "tests/structure", "tests/golden", "bench", "examples",
                "cmake/precompiled")


def layer_of(path):
    """The layer that a file belongs to; "" for one under UNRESTRICTED, None for one under no layer."""
    folder = path.rpartition("/")[0]
    while folder:
        if folder in LAYERS:
            return folder
        if folder in UNRESTRICTED:
            return ""
        folder = folder.rpartition("/")[0]
    return None


def library_of(include):
    """The name of the outside library that a header belongs to, or None."""
    for name, prefixes in LIBRARIES.items():
        if include.startswith(prefixes):
            return name
    return None


def library_of_target(target):
    """The name of the outside library that a CMake target belongs to, or None."""
    for name, prefixes in TARGETS.items():
        if target.startswith(prefixes):
            return name
    return None
