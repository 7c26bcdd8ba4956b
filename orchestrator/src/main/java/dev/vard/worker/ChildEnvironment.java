package dev.vard.worker;

import java.io.File;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Which of this process's environment variables a Python process gets: what the system, Python,
 * PyTorch and the hub's libraries are set by, and nothing else, for the rest may be somebody's
 * secret. {@code VARD_PASS_ENV=NAME,NAME} adds to them.
 */
final class ChildEnvironment {
  private static final Set<String> NAMES =
      Stream.of(
              // The user and the system.
              "PATH HOME USER LOGNAME SHELL TMPDIR TEMP TMP TZ TERM LANG LANGUAGE",
              "XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_RUNTIME_DIR",
              // Libraries.
              "LD_LIBRARY_PATH LD_PRELOAD DYLD_LIBRARY_PATH DYLD_FALLBACK_LIBRARY_PATH",
              // The way out.
              "HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy",
              "SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE",
              // Python itself, but for what leads it to other modules.
              "PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX PYTHONWARNINGS PYTHONFAULTHANDLER",
              "PYTHONHASHSEED PYTHONMALLOC PYTHONUNBUFFERED")
          .flatMap(names -> Stream.of(names.split(" ")))
          .collect(Collectors.toUnmodifiableSet());

  private static final List<String> PREFIXES =
      Stream.of(
              "LC_ MALLOC_ GRPC_ OMP_ GOMP_ KMP_ MKL_ OPENBLAS_ NUMEXPR_",
              "CUDA_ CUDNN_ CUBLAS_ NVIDIA_ NCCL_ HIP_ HSA_ ROCR_ ROCM_ MIOPEN_",
              "TORCH_ TORCHINDUCTOR_ PYTORCH_ TRITON_",
              "HF_ HUGGINGFACE_ TRANSFORMERS_ DIFFUSERS_ SAFETENSORS_ TOKENIZERS_")
          .flatMap(names -> Stream.of(names.split(" ")))
          .toList();

  /** A reward's tokens are named so: no worker gets them, not even where they are asked for. */
  private static final String REWARD = "VARD_REWARD_";

  private static final String PASSED = "VARD_PASS_ENV";
  private static final String PYTHON_PATH = "PYTHONPATH";

  private ChildEnvironment() {}

  /**
   * The whole environment of a Python process.
   *
   * @param own this process's
   * @param sources folder of the modules that it runs
   */
  static Map<String, String> of(PythonProcess.Role role, Map<String, String> own, Path sources) {
    Set<String> asked =
        Arrays.stream(own.getOrDefault(PASSED, "").split(","))
            .map(String::strip)
            .collect(Collectors.toSet());
    Map<String, String> environment = new TreeMap<>();
    own.forEach(
        (name, value) -> {
          boolean passed =
              switch (role) {
                case WORKER -> isNeeded(name) || asked.contains(name) && !name.startsWith(REWARD);
                case REWARD -> isNeeded(name) || asked.contains(name);
              };
          if (passed) {
            environment.put(name, value);
          }
        });
    environment.put(
        PYTHON_PATH,
        switch (role) {
          case WORKER -> sources.toString();
          case REWARD -> path(sources, own.getOrDefault(PYTHON_PATH, ""));
        });
    // A file that happens to lie in the working directory is not a module.
    environment.put("PYTHONSAFEPATH", "1");
    environment.put("PYTHONUTF8", "1");
    return environment;
  }

  private static boolean isNeeded(String name) {
    return NAMES.contains(name) || PREFIXES.stream().anyMatch(name::startsWith);
  }

  /** The user's own modules come after. An empty entry would stand for the working directory. */
  private static String path(Path sources, String given) {
    return Stream.concat(
            Stream.of(sources.toString()), Arrays.stream(given.split(File.pathSeparator)))
        .filter(entry -> !entry.isEmpty())
        .collect(Collectors.joining(File.pathSeparator));
  }
}
