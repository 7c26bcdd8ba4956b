package dev.vard.worker;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Where a worker is, or is to be started. */
public sealed interface WorkerLocation {
  /**
   * A process of its own on this machine, started and ended with the client.
   *
   * @param threads CPU threads for its mathematics; results are the same to the bit only for the
   *     same number
   */
  record Local(int threads) implements WorkerLocation {
    public Local {
      requireThreads(threads);
    }
  }

  /**
   * Inside this JVM.
   *
   * @param threads CPU threads for its mathematics; results are the same to the bit only for the
   *     same number
   */
  record Embedded(int threads) implements WorkerLocation {
    public Embedded {
      requireThreads(threads);
    }
  }

  /** A worker that somebody else started. */
  record Remote(String host, int port) implements WorkerLocation {
    public Remote {
      if (host.isEmpty()) {
        throw new IllegalArgumentException("the worker's host is empty");
      }
      if (port < 1 || port > 65535) {
        throw new IllegalArgumentException("the worker's port is from 1 to 65535, not " + port);
      }
    }
  }

  /**
   * Reads {@code local}, {@code embedded} (both with a thread for each processor) or {@code
   * host:port}; an IPv6 host stands in brackets.
   *
   * @throws IllegalArgumentException if it is none of them; the message says so
   */
  static WorkerLocation parse(String text) {
    return switch (text) {
      case "local" -> new Local(Runtime.getRuntime().availableProcessors());
      case "embedded" -> new Embedded(Runtime.getRuntime().availableProcessors());
      default -> {
        Matcher address =
            Pattern.compile("(\\[[0-9a-fA-F:.]+]|[^:/\\s]+):(\\d{1,5})").matcher(text);
        if (!address.matches()) {
          throw new IllegalArgumentException(
              "'" + text + "' is no worker: write local, embedded, or host:port");
        }
        yield new Remote(address.group(1), Integer.parseInt(address.group(2)));
      }
    };
  }

  private static void requireThreads(int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException("a worker has 1 thread or more, not " + threads);
    }
  }
}
