package dev.vard.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A {@code vard serve} in a process of its own, that serves. */
public final class ServerProcess implements AutoCloseable {
  /** In which a server comes to serve, on a machine that has much else to do. */
  private static final Duration PATIENCE = Duration.ofSeconds(120);

  private final Process process;
  private final ManagedChannel channel;
  private final int http;

  /**
   * @param folder for its runs, its models and its log; several servers may share one
   * @param worker {@code host:port}
   * @param settings {@code VARD_SERVE_*}, as environment variables
   * @param options of the command line
   */
  public ServerProcess(Path folder, String worker, Map<String, String> settings, String... options)
      throws IOException, InterruptedException {
    Files.createDirectories(folder.resolve("models/tiny"));
    Path own = Files.createTempDirectory(folder, "server-");
    Path readyFile = own.resolve("ready.json");
    Path log = own.resolve("server.log");
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                "dev.vard.cli.Main",
                "serve",
                "--grpc-port=0",
                "--http-port=0",
                "--worker=" + worker,
                "--model-root=" + folder.resolve("models"),
                "--ready-file=" + readyFile));
    if (Stream.of(options).noneMatch(option -> option.startsWith("--runs="))) {
      command.add("--runs=" + folder.resolve("runs"));
    }
    command.addAll(List.of(options));
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
    builder.environment().putAll(settings);
    process = builder.start();
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (!Files.exists(readyFile)) {
      if (System.nanoTime() > end) {
        process.destroyForcibly();
        throw new AssertionError("it does not serve: " + Files.readString(log));
      }
      if (process.waitFor(20, TimeUnit.MILLISECONDS)) {
        throw new AssertionError("it ended: " + Files.readString(log));
      }
    }
    JsonNode ready = new ObjectMapper().readTree(readyFile.toFile());
    http = ready.required("http_port").intValue();
    channel =
        Grpc.newChannelBuilder(
                "127.0.0.1:" + ready.required("grpc_port").intValue(),
                InsecureChannelCredentials.create())
            .build();
  }

  public ManagedChannel channel() {
    return channel;
  }

  public int grpcPort() {
    return Integer.parseInt(channel.authority().substring("127.0.0.1:".length()));
  }

  public int httpPort() {
    return http;
  }

  public URI http(String path) {
    return URI.create("http://127.0.0.1:" + http + path);
  }

  public boolean isAlive() {
    return process.isAlive();
  }

  /** Asks it to stop, and gives its exit code. */
  public int terminate() throws InterruptedException {
    process.destroy();
    channel.shutdownNow();
    return process.waitFor();
  }

  /** Kills it. */
  @Override
  public void close() throws InterruptedException {
    channel.shutdownNow();
    process.destroyForcibly().waitFor();
  }
}
