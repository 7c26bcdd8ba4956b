package dev.vard.cli.client;

import dev.vard.cli.Console;
import dev.vard.cli.ExitCode;
import dev.vard.files.TextFile;
import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.grpc.StatusException;
import io.grpc.TlsChannelCredentials;
import io.micronaut.context.annotation.Prototype;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Pattern;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What all commands that ask a server have in common: how they reach it and how they answer. */
@Prototype
final class ServerOptions {
  /** What may stand in a header. */
  private static final Pattern TOKEN = Pattern.compile("[\\x21-\\x7E]+");

  private final ClientSettings settings;
  private final Console console;

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  @Option(
      names = "--server",
      paramLabel = "HOST:PORT",
      converter = ServerAddress.Converter.class,
      description = "The server. Without it: VARD_SERVER, else 127.0.0.1:50051.")
  private Optional<ServerAddress> address = Optional.empty();

  @Option(
      names = "--token-file",
      paramLabel = "FILE",
      description = "A file with the token that the server knows you by. Without it: VARD_TOKEN.")
  private Optional<Path> tokenFile = Optional.empty();

  @Option(names = "--tls", description = "Speak TLS, and trust the authorities that Java trusts.")
  private boolean tls;

  @Option(
      names = "--ca",
      paramLabel = "FILE",
      description = "Speak TLS, and trust the authorities in this PEM file.")
  private Optional<Path> authority = Optional.empty();

  @Option(
      names = "--cert",
      paramLabel = "FILE",
      description = "Speak TLS, and show this certificate (PEM, with its chain).")
  private Optional<Path> certificate = Optional.empty();

  @Option(names = "--key", paramLabel = "FILE", description = "The private key of --cert (PEM).")
  private Optional<Path> key = Optional.empty();

  @Option(
      names = "--plaintext",
      description = "Send the token without TLS, even to another machine.")
  private boolean plaintext;

  @Option(names = "--json", description = "Print JSON, with the names of vard/v1/run.proto.")
  private boolean json;

  @Option(names = "--verbose", description = "Print stack traces of errors.")
  private boolean verbose;

  ServerOptions(ClientSettings settings, Console console) {
    this.settings = settings;
    this.console = console;
  }

  /** What a command asks. */
  interface Conversation {
    /**
     * @return the exit code
     */
    int with(RunServer server) throws StatusException, IOException, InterruptedException;
  }

  /** Whether the answer is for programs. */
  boolean json() {
    return json;
  }

  /** Opens the way to the server, and tells in plain sentences what goes wrong on it. */
  int talk(Conversation conversation) {
    try (RunServer server = open()) {
      return conversation.with(server);
    } catch (StatusException e) {
      return failed(e, Refusal.of(e, address(), isTls()));
    } catch (ClientException e) {
      return failed(e, e.getMessage());
    } catch (IOException e) {
      return failed(e, "a file cannot be read or written: " + e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return ExitCode.CANCELLED;
    }
  }

  private int failed(Exception e, String message) {
    console.err().println("vard: " + message);
    if (verbose) {
      e.printStackTrace(console.err());
    }
    return ExitCode.FAILED;
  }

  private RunServer open() {
    if (certificate.isPresent() != key.isPresent()) {
      throw new ParameterException(
          command.commandLine(), "--cert and --key belong together; give both or neither");
    }
    Optional<String> token = token();
    if (token.isPresent() && !isTls() && !plaintext && !address().isLoopback()) {
      throw new ClientException(
          "the token would travel to "
              + address()
              + " where others can read it: give --ca or --tls, or --plaintext if the way there is"
              + " safe by other means");
    }
    return new RunServer(address(), credentials(), token);
  }

  private ServerAddress address() {
    return address.orElseGet(
        () -> {
          try {
            return ServerAddress.parse(settings.server());
          } catch (IllegalArgumentException e) {
            throw new ParameterException(command.commandLine(), "VARD_SERVER: " + e.getMessage());
          }
        });
  }

  private boolean isTls() {
    return tls || authority.isPresent() || certificate.isPresent();
  }

  private Optional<String> token() {
    Optional<String> token = tokenFile.map(ServerOptions::read).or(settings::token);
    token
        .filter(text -> !TOKEN.matcher(text).matches())
        .ifPresent(
            text -> {
              throw new ClientException(
                  tokenFile.map(file -> "--token-file " + file).orElse("VARD_TOKEN")
                      + " holds no token: it is one line of letters, digits and signs");
            });
    return token;
  }

  private static String read(Path file) {
    try {
      return TextFile.read(file).strip();
    } catch (IOException e) {
      throw new ClientException(
          "--token-file " + file + ": it cannot be read (" + e + "); give a file with a token", e);
    }
  }

  private ChannelCredentials credentials() {
    if (!isTls()) {
      return InsecureChannelCredentials.create();
    }
    TlsChannelCredentials.Builder credentials = TlsChannelCredentials.newBuilder();
    try {
      if (authority.isPresent()) {
        credentials.trustManager(authority.get().toFile());
      }
      if (certificate.isPresent() && key.isPresent()) {
        credentials.keyManager(certificate.get().toFile(), key.get().toFile());
      }
    } catch (IOException e) {
      throw new ClientException(
          "--ca, --cert or --key: a file cannot be read (" + e.getMessage() + "); give PEM files",
          e);
    }
    return credentials.build();
  }
}
