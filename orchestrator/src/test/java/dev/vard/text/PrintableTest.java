package dev.vard.text;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class PrintableTest {

  @Test
  void shouldLeaveOutWhatATerminalTakesForACommand() {
    assertThat(Printable.line("a\u001b[31mb\u009b2Jc\u0007d\u007f")).isEqualTo("a[31mb2Jcd");
  }

  @Test
  void shouldLeaveOutWhatTurnsTheDirectionOfWriting() {
    assertThat(Printable.line("ok \u202Egnp.exe\u202C \u2066x\u2069 \u200F\u061Cy"))
        .isEqualTo("ok gnp.exe x y");
  }

  @Test
  void shouldKeepLettersAndEmojiOfAnyScript() {
    String text = "Käse №1, कड़ी, 👩‍🍳, עברית";
    assertThat(Printable.line(text)).isEqualTo(text);
  }

  @Test
  void shouldMakeOneLine() {
    assertThat(Printable.line("a \r\n b\u2028c")).isEqualTo("a; b; c");
  }
}
