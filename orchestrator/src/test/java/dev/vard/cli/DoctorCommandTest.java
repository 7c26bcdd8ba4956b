package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

class DoctorCommandTest {
  @Test
  void shouldFindEverythingWhereTheTestsRun() {
    var output = new StringWriter();

    int exitCode = new CommandLine(new DoctorCommand()).setOut(new PrintWriter(output)).execute();

    assertThat(output.toString().lines())
        .allMatch(line -> line.matches("(ok     |none   )  .+"))
        .anyMatch(line -> line.startsWith("ok       JDK "))
        .anyMatch(line -> line.startsWith("ok       Apache Maven"))
        .anyMatch(line -> line.startsWith("ok       Python 3."))
        .anyMatch(line -> line.startsWith("ok       worker: local answers"))
        .anyMatch(line -> line.startsWith("ok       worker: embedded answers"));
    assertThat(exitCode).isZero();
  }
}
