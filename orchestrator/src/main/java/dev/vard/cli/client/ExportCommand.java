package dev.vard.cli.client;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.cli.Console;
import dev.vard.cli.ExitCode;
import dev.vard.proto.v1.Artifact;
import dev.vard.proto.v1.GetRunRequest;
import dev.vard.proto.v1.ListArtifactsRequest;
import dev.vard.proto.v1.ListArtifactsResponse;
import dev.vard.proto.v1.Run;
import io.grpc.StatusException;
import io.micronaut.context.annotation.Prototype;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vard export}: brings a run's LoRA, or other files of it, to this machine. */
@Prototype
@Command(
    name = "export",
    mixinStandardHelpOptions = true,
    description =
        "Downloads a run's LoRA into a folder that diffusers' load_lora_weights takes, or other"
            + " files of the run. All come, with the right checksums, or none.")
public final class ExportCommand implements Callable<Integer> {
  private static final String EXPORT = "export/";

  private final Console console;

  @Mixin private ServerOptions options;

  @Parameters(paramLabel = "RUN", converter = RunName.Converter.class, description = "Its name.")
  private RunName run;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description = "The folder for the files. Without it: one with the run's name.")
  private Optional<Path> out = Optional.empty();

  @Option(
      names = "--artifact",
      paramLabel = "PATH",
      description =
          "This file of the run instead of the LoRA, as report.html or samples/0004/0000.png."
              + " Repeatable.")
  private List<String> artifacts = new ArrayList<>();

  ExportCommand(Console console) {
    this.console = console;
  }

  /**
   * @param artifact what the service calls it
   * @param path where it goes, relative to the folder
   */
  private record Wanted(String artifact, String path) {}

  /** A file that is here now. */
  private record Got(Path path, Download download) {}

  @Override
  public Integer call() {
    return options.talk(
        server -> {
          List<Wanted> wanted =
              artifacts.isEmpty()
                  ? export(server)
                  : artifacts.stream().map(path -> new Wanted(run.artifact(path), path)).toList();
          show(download(server, wanted, out.orElse(Path.of(run.id()))));
          return ExitCode.OK;
        });
  }

  /** The files of the LoRA's folder, which become files of ours. */
  private List<Wanted> export(RunServer server) throws StatusException {
    String prefix = run.artifact(EXPORT);
    List<Wanted> wanted = new ArrayList<>();
    String token = "";
    do {
      ListArtifactsResponse page =
          server
              .call()
              .listArtifacts(
                  ListArtifactsRequest.newBuilder()
                      .setParent(run.toString())
                      .setPageToken(token)
                      .build());
      page.getArtifactsList().stream()
          .map(Artifact::getName)
          .filter(name -> name.startsWith(prefix))
          .map(name -> new Wanted(name, name.substring(prefix.length())))
          .forEach(wanted::add);
      token = page.getNextPageToken();
    } while (!token.isEmpty());
    if (wanted.isEmpty()) {
      Run known = server.call().getRun(GetRunRequest.newBuilder().setName(run.toString()).build());
      throw new ClientException(
          "%s has no LoRA yet: it is %s at iteration %s. `./vard watch %s` tells when it is done"
              .formatted(run, States.name(known.getState()), RunText.iteration(known), run.id()));
    }
    return wanted;
  }

  private static List<Got> download(RunServer server, List<Wanted> wanted, Path folder)
      throws StatusException, IOException, InterruptedException {
    try (Delivery delivery = new Delivery(folder)) {
      List<Download> downloads = new ArrayList<>();
      for (Wanted file : wanted) {
        downloads.add(Download.of(server, file.artifact(), delivery.file(file.path())));
      }
      delivery.keep();
      List<Got> got = new ArrayList<>();
      for (int i = 0; i < downloads.size(); i++) {
        got.add(new Got(folder.resolve(wanted.get(i).path()), downloads.get(i)));
      }
      return got;
    }
  }

  private void show(List<Got> files) throws IOException {
    if (options.json()) {
      List<Map<String, Object>> all = new ArrayList<>();
      for (Got file : files) {
        all.add(
            Map.of(
                "path", file.path().toString(),
                "size_bytes", file.download().bytes(),
                "sha256", file.download().sha256()));
      }
      console.out().println(new ObjectMapper().writeValueAsString(Map.of("files", all)));
    } else {
      files.forEach(file -> console.out().println(file.path()));
    }
  }
}
