package dev.vard.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.report.ReportException.Code;
import dev.vard.run.RunEvent;
import dev.vard.run.RunStatus;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HtmlReportTest {
  private static final Pattern DATA =
      Pattern.compile(
          "<script type=\"application/json\" id=\"run\">(.*?)</script>", Pattern.DOTALL);

  @TempDir Path folder;

  @Test
  void shouldCompareTheFirstEvaluationWithTheLast() throws IOException {
    MadeUpRun.vard(folder).write();

    JsonNode data = data(page());

    JsonNode comparison = data.path("comparison");
    assertThat(comparison.path("basis").asText()).isEqualTo("evaluation");
    assertThat(comparison.path("after_iteration").asInt()).isEqualTo(16);
    double before = comparison.at("/before/mean").asDouble();
    double after = comparison.at("/after/mean").asDouble();
    assertThat(before).isNegative().isLessThan(after);
    assertThat(comparison.at("/difference/mean").asDouble())
        .isEqualTo(after - before, within(1e-9));
    assertThat(data.path("reward_queries").asInt()).isEqualTo(512);
    assertThat(data.path("evaluation_queries").asInt()).isEqualTo(40);
    assertThat(data.path("total_seconds").asDouble()).isEqualTo(201.9);
    assertThat(data.path("reward").asText()).isEqualTo("jpeg-compressibility");
  }

  @Test
  void shouldPairPicturesOfTheSameSeed() throws IOException {
    MadeUpRun.vard(folder).write();

    JsonNode pictures = data(page()).path("pictures");

    assertThat(pictures.path("pixelated").asBoolean()).isTrue();
    assertThat(pictures.path("pairs")).hasSize(8);
    JsonNode first = pictures.path("pairs").path(0);
    assertThat(first.path("before").asText()).startsWith("data:image/png;base64,");
    assertThat(first.path("after").asText())
        .startsWith("data:image/png;base64,")
        .isNotEqualTo(first.path("before").asText());
    assertThat(first.path("reward_after").asDouble())
        .isGreaterThan(first.path("reward_before").asDouble());
    assertThat(first.path("kl").asDouble()).isPositive();
  }

  @Test
  void shouldKeepSeedsThatJavaScriptCannotHold() throws IOException {
    MadeUpRun.vard(folder).write();

    assertThat(data(page()).at("/pictures/pairs/0/seed").asText()).isEqualTo("9007199254740993");
  }

  @Test
  void shouldNotLetAPromptBecomeMarkup() throws IOException {
    String prompt =
        "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> \"quoted\" & more";
    MadeUpRun.vard(folder).withPrompt(prompt).write();

    String page = page();

    // The page's own: JSON, uPlot and report.js.
    assertThat(count(page, "(?i)<script")).isEqualTo(3);
    assertThat(count(page, "(?i)</script")).isEqualTo(3);
    assertThat(page).doesNotContain("<img", "alert(1)</", "<!-- <img");
    assertThat(data(page).at("/pictures/pairs/0/prompt").asText()).isEqualTo(prompt);
  }

  @Test
  void shouldLeaveAPromptAloneThatLooksLikeAPlaceOfTheTemplate() throws IOException {
    MadeUpRun.vard(folder).withPrompt("{{script}} $1 \\d").write();

    assertThat(data(page()).at("/pictures/pairs/0/prompt").asText()).isEqualTo("{{script}} $1 \\d");
  }

  @Test
  void shouldNeedNothingFromOutside() throws IOException {
    MadeUpRun.vard(folder).write();

    String page = page();

    assertThat(page).contains("default-src 'none'").doesNotContain("{{");
    assertThat(page)
        .doesNotContainPattern("(?i)(src|href)=[\"']?(https?:|//)")
        .doesNotContain("@import");
    assertThat(page).contains("uPlot");
  }

  @Test
  void shouldShowARunThatWasKilledWhileItWrote() throws IOException {
    MadeUpRun run = MadeUpRun.vard(folder).interruptedAfter(9).write();
    run.appendText("{\"event\":\"iteration\",\"iterat");

    JsonNode data = data(page());

    assertThat(data.path("ending").isNull()).isTrue();
    assertThat(data.path("iterations")).hasSize(9);
    assertThat(data.at("/comparison/after_iteration").asInt()).isEqualTo(8);
    assertThat(data.has("export")).isFalse();
    assertThat(data.path("total_seconds").asDouble())
        .isEqualTo(2 * 7.2 + 7 * 12.6 + 3 * 6.3, within(1e-6));
  }

  @Test
  void shouldTellWhyARunFailed() throws IOException {
    MadeUpRun run = MadeUpRun.vard(folder).interruptedAfter(3).write();
    run.append(ended(RunStatus.FAILED, "OUT_OF_MEMORY", "no room for 32 trajectories"));

    assertThat(data(page()).at("/ending/reason_code").asText()).isEqualTo("OUT_OF_MEMORY");
  }

  /** The YAML library's reader stumbles over a pair of surrogates across two of its buffers. */
  @Test
  void shouldReadASpecificationFullOfEmoji() throws IOException {
    MadeUpRun.vard(folder).withPrompt("a 😀".repeat(2_000)).write();
    Path spec = folder.resolve("spec.resolved.yaml");
    Files.writeString(spec, Files.readString(spec) + "x: " + "😀".repeat(3_000) + "\n");

    assertThat(data(page()).path("reward").asText()).isEqualTo("jpeg-compressibility");
  }

  @Test
  void shouldShowWarnings() throws IOException {
    MadeUpRun run = MadeUpRun.vard(folder).interruptedAfter(3).write();
    run.append(new RunEvent.Warned(2, "REWARD_CONSTANT", "all scores are 1"));

    assertThat(data(page()).at("/warnings/0/message").asText()).isEqualTo("all scores are 1");
  }

  @Test
  void shouldTakeTheLaterRecordOfAnIterationThatWasDoneTwice() throws IOException {
    MadeUpRun run = MadeUpRun.vard(folder).interruptedAfter(3).write();
    run.appendText(
        "{\"event\":\"iteration\",\"iteration\":3,\"reward_queries\":97,\"reward\":{\"mean\":-9}}\n");

    JsonNode data = data(page());

    assertThat(data.path("iterations")).hasSize(3);
    assertThat(data.path("reward_queries").asInt()).isEqualTo(97);
  }

  @Test
  void shouldShowARunWithoutAValueFunction() throws IOException {
    MadeUpRun.vard(folder).withAlgorithm("ddpo").write();

    assertThat(data(page()).at("/iterations/0/value").isNull()).isTrue();
  }

  @Test
  void shouldCompareTrainingSamplesWhereNothingWasEvaluated() throws IOException {
    MadeUpRun.vard(folder).evaluatedEvery(0).write();

    JsonNode data = data(page());

    assertThat(data.at("/comparison/basis").asText()).isEqualTo("training");
    assertThat(data.at("/comparison/difference").isNull()).isTrue();
    assertThat(data.at("/pictures/pairs")).isEmpty();
    assertThat(data.path("kl_per_trajectory").asDouble()).isGreaterThan(40);
  }

  @Test
  void shouldShowARunThatHasOnlyStarted() throws IOException {
    MadeUpRun.vard(folder).evaluatedEvery(0).interruptedAfter(0).write();

    assertThat(data(page()).path("comparison").isNull()).isTrue();
  }

  @Test
  void shouldStaySmallWithManyLargePictures() throws IOException {
    MadeUpRun.vard(folder).evaluatedEvery(16).withImages(70, 512).write();

    String page = page();

    JsonNode pictures = data(page).path("pictures");
    assertThat(pictures.path("pairs")).hasSize(64);
    assertThat(pictures.path("omitted").asInt()).isEqualTo(6);
    assertThat(pictures.path("width").asInt()).isEqualTo(192);
    assertThat(pictures.path("pixelated").asBoolean()).isFalse();
    assertThat(pictures.at("/pairs/0/before").asText()).startsWith("data:image/jpeg;base64,");
    assertThat(page.length()).isLessThan(10_000_000);
  }

  @Test
  void shouldGiveASnippetThatDrawsTheFirstPictureAgain() throws IOException {
    MadeUpRun.vard(folder).withPrompt("a \"red\" apple").write();

    assertThat(data(page()).path("snippet").asText())
        .contains(
            "from_pretrained(\n    \"checkpoints/emoji-sd\")",
            "DDIMScheduler.from_config(",
            "load_lora_weights(\n    \"" + folder.resolve("export") + "\")",
            "\"a \\\"red\\\" apple\",",
            "num_inference_steps=20, guidance_scale=3.0, eta=1.0,",
            "manual_seed(9007199254740993)");
  }

  @Test
  void shouldReplaceAnEarlierReport() throws IOException {
    MadeUpRun run = MadeUpRun.vard(folder).interruptedAfter(2).write();
    page();
    run.append(ended(RunStatus.CANCELLED, "CANCELLED", "told to stop"));

    assertThat(data(page()).at("/ending/to").asText()).isEqualTo("CANCELLED");
    assertThat(folder.resolve("report.html.part")).doesNotExist();
  }

  @Test
  void shouldRefuseAFolderWithoutARun() {
    assertThatThrownBy(() -> new HtmlReport().write(folder))
        .isInstanceOfSatisfying(
            ReportException.class, e -> assertThat(e.code()).isEqualTo(Code.NO_RUN))
        .hasMessageContaining("metrics.jsonl");
  }

  @Test
  void shouldNameTheLineThatIsNotJson() throws IOException {
    MadeUpRun run = MadeUpRun.vard(folder).interruptedAfter(0).evaluatedEvery(0).write();
    run.appendText("not json\n");

    assertThatThrownBy(() -> new HtmlReport().write(folder))
        .isInstanceOfSatisfying(
            ReportException.class, e -> assertThat(e.code()).isEqualTo(Code.BAD_METRICS))
        .hasMessageContaining("line 2");
  }

  private String page() throws IOException {
    return Files.readString(new HtmlReport().write(folder));
  }

  private static long count(String text, String pattern) {
    return Pattern.compile(pattern).matcher(text).results().count();
  }

  private static JsonNode data(String page) throws IOException {
    MatchResult block = DATA.matcher(page).results().findFirst().orElseThrow();
    return new ObjectMapper().readTree(block.group(1));
  }

  private static RunEvent ended(RunStatus to, String code, String reason) {
    return new RunEvent.StateChanged(Optional.of(RunStatus.RUNNING), to, code, reason);
  }
}
