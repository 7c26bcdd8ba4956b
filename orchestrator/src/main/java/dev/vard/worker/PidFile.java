package dev.vard.worker;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.files.PrivateFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/**
 * Which process a worker is, and which orchestrator started it. Numbers of processes are used
 * again: when a process started tells whether it is still the same one.
 */
record PidFile(Identity worker, Identity orchestrator) {
  static final String GLOB = "worker-*.json";

  private static final ObjectMapper JSON = new ObjectMapper();

  /** A process, in this machine's life. */
  record Identity(long pid, Instant started) {
    /**
     * Two readers may see different starts of one process: Linux counts it from the machine's own,
     * which it reckons back from a clock that may be set in the meantime. No number is used again
     * this soon.
     */
    private static final Duration CLOCK = Duration.ofSeconds(2);

    static Optional<Identity> of(ProcessHandle process) {
      return process.info().startInstant().map(started -> new Identity(process.pid(), started));
    }

    /** The process, if it lives. */
    Optional<ProcessHandle> process() {
      return ProcessHandle.of(pid)
          .filter(ProcessHandle::isAlive)
          .filter(process -> of(process).filter(now -> isSoon(started, now.started())).isPresent());
    }

    private static boolean isSoon(Instant one, Instant other) {
      return Duration.between(one, other).abs().compareTo(CLOCK) <= 0;
    }
  }

  /**
   * Writes it, whole or not at all, for a worker that this process has started.
   *
   * @return the file; empty if the process has ended already
   */
  static Optional<Path> write(Path folder, ProcessHandle worker) throws IOException {
    Optional<Identity> started = Identity.of(worker);
    Optional<Identity> own = Identity.of(ProcessHandle.current());
    if (started.isEmpty() || own.isEmpty()) {
      return Optional.empty();
    }
    return Optional.of(new PidFile(started.get(), own.get()).writeTo(folder));
  }

  Path writeTo(Path folder) throws IOException {
    PrivateFiles.createFolders(folder);
    Path file = folder.resolve("worker-" + worker.pid() + ".json");
    Path beside = folder.resolve("." + file.getFileName() + ".part");
    PrivateFiles.write(beside, json());
    return Files.move(beside, file, StandardCopyOption.ATOMIC_MOVE);
  }

  private byte[] json() throws IOException {
    return JSON.writerWithDefaultPrettyPrinter()
        .writeValueAsBytes(
            JSON.createObjectNode()
                .put("pid", worker.pid())
                .put("started", worker.started().toString())
                .put("orchestratorPid", orchestrator.pid())
                .put("orchestratorStarted", orchestrator.started().toString()));
  }

  /**
   * @return empty if the file is not whole
   */
  static Optional<PidFile> read(Path file) throws IOException {
    try {
      JsonNode json = JSON.readTree(Files.readAllBytes(file));
      return Optional.of(
          new PidFile(
              new Identity(
                  json.required("pid").asLong(), Instant.parse(json.required("started").asText())),
              new Identity(
                  json.required("orchestratorPid").asLong(),
                  Instant.parse(json.required("orchestratorStarted").asText()))));
    } catch (JacksonException | IllegalArgumentException | DateTimeException e) {
      return Optional.empty();
    }
  }
}
