package dev.vard.cli.client;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QuestionTest {

  @ParameterizedTest
  @CsvSource({"y, true", "YES, true", "n, false", "'', false", "yesterday, false"})
  void shouldTakeOnlyYesForYes(String answer, boolean yes) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    Question question =
        new Question(
            new ByteArrayInputStream((answer + "\n").getBytes(StandardCharsets.UTF_8)),
            new PrintStream(out, true, StandardCharsets.UTF_8));

    assertThat(question.yes("Delete it?")).isEqualTo(yes);
    assertThat(out.toString(StandardCharsets.UTF_8)).isEqualTo("Delete it? [y/N] ");
  }
}
