package dev.vard.cli;

import dev.vard.cli.client.CancelCommand;
import dev.vard.cli.client.DeleteCommand;
import dev.vard.cli.client.ExportCommand;
import dev.vard.cli.client.ListCommand;
import dev.vard.cli.client.ResumeCommand;
import dev.vard.cli.client.ShowCommand;
import dev.vard.cli.client.SubmitCommand;
import dev.vard.cli.client.WatchCommand;
import dev.vard.text.ShellCommand;
import io.micronaut.configuration.picocli.MicronautFactory;
import io.micronaut.context.ApplicationContext;
import java.io.PrintWriter;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The program. */
@Command(
    name = "vard",
    description = "Fine-tunes diffusion models on black-box rewards.",
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    subcommands = {
      RunCommand.class,
      ServeCommand.class,
      SubmitCommand.class,
      ListCommand.class,
      ShowCommand.class,
      WatchCommand.class,
      CancelCommand.class,
      ResumeCommand.class,
      ExportCommand.class,
      DeleteCommand.class,
      RewardCommand.class,
      SpecCommand.class,
      DoctorCommand.class,
      CommandLine.HelpCommand.class
    })
public final class Main implements Callable<Integer> {
  @Spec private CommandSpec command;

  public static void main(String[] arguments) {
    Console console = new Console(System.out, System.err);
    System.exit(
        unreadable(arguments)
            .map(message -> badUsage(console, message))
            .orElseGet(() -> execute(console, arguments)));
  }

  /** Java reads arguments by the locale, and puts U+FFFD for what that does not know. */
  private static Optional<String> unreadable(String[] arguments) {
    return Stream.of(arguments)
        .filter(argument -> argument.indexOf('\uFFFD') >= 0)
        .findFirst()
        .map(
            argument ->
                "the argument '%s' is not UTF-8 text, or Java was started for a locale of %s: start ./vard, or set LC_ALL=C.UTF-8"
                    .formatted(argument, System.getProperty("sun.jnu.encoding")));
  }

  private static int badUsage(Console console, String message) {
    console.err().println("vard: " + message);
    return ExitCode.BAD_USAGE;
  }

  /** The exit code: see {@link ExitCode}. */
  public static int execute(Console console, String... arguments) {
    try (ApplicationContext context =
            ApplicationContext.builder().banner(false).singletons(console).start();
        MicronautFactory factory = new MicronautFactory(context)) {
      return new CommandLine(Main.class, factory)
          .setOut(new PrintWriter(console.out(), true))
          .setErr(new PrintWriter(console.err(), true))
          .setParameterExceptionHandler(Main::badUsage)
          .setExecutionExceptionHandler(Main::unexpected)
          .execute(arguments);
    }
  }

  /** Without a command: says which there are. */
  @Override
  public Integer call() {
    CommandLine vard = command.commandLine();
    vard.getErr().println("vard: a command is missing");
    vard.usage(vard.getErr());
    return ExitCode.BAD_USAGE;
  }

  /** One line, which usage would bury; where an argument is not of the command, how to see it. */
  private static int badUsage(ParameterException e, String[] arguments) {
    CommandLine command = e.getCommandLine();
    PrintWriter err = command.getErr();
    err.println("vard: " + e.getMessage());
    if (!CommandLine.UnmatchedArgumentException.printSuggestions(e, err) && !isRefusal(e)) {
      String[] words = (command.getCommandSpec().qualifiedName() + " --help").split(" ");
      err.println("vard: see " + ShellCommand.vard(Stream.of(words).skip(1).toArray()));
    }
    return ExitCode.BAD_USAGE;
  }

  /** Whether the arguments were understood, and a command refused what they ask for. */
  private static boolean isRefusal(ParameterException e) {
    return e.getClass() == ParameterException.class && e.getArgSpec() == null;
  }

  /** A defect of the program: the trace helps to mend it. */
  private static int unexpected(
      Exception e, CommandLine command, CommandLine.ParseResult arguments) {
    command.getErr().println("vard: this is a defect of vard, please report it: " + e);
    e.printStackTrace(command.getErr());
    return ExitCode.FAILED;
  }

  /** As the build names it. */
  static final class Version implements CommandLine.IVersionProvider {
    @Override
    public String[] getVersion() {
      String version = Main.class.getPackage().getImplementationVersion();
      return new String[] {"vard " + (version == null ? "(not packaged)" : version)};
    }
  }
}
