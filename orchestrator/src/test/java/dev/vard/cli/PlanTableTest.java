package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.run.RunJson;
import dev.vard.run.RunPlan;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PlanTableTest {
  private static final RunPlan PLAN =
      new RunPlan(
          "red",
          new RunPlan.Model(
              "models/sdxl", "sdxl", "StableDiffusionXLPipeline", "ddim", 1.0, "cuda", 1024, 768),
          List.of(
              new RunPlan.Part(
                  "unet", "UNet2DConditionModel", 2_567_463_684L, 5_134_927_368L, false),
              new RunPlan.Part("vae", "AutoencoderKL", 83_653_863, 334_615_452, true)),
          new RunPlan.Trained(List.of("to_q", "to_k"), 140, 23_224_320, 311_617),
          new RunPlan.Memory(
              5_200_000_000L,
              188_000_000,
              352_000_000,
              60_000_000,
              Map.of("policy", 1_730_000_000L, "sample", 1_750_000_000L),
              15_900_000_000L,
              1_730_000_000L,
              13_700_000_000L),
          16,
          512,
          320,
          20,
          640,
          260);

  @Test
  void shouldTellWhatARunWouldTake() {
    assertThat(new PlanTable(PLAN).text().lines())
        .containsExactly(
            "  model              models/sdxl, StableDiffusionXLPipeline",
            "  draws              1024 × 768 pixels in 20 steps of ddim, η 1",
            "  unet               UNet2DConditionModel, 2.57 billion parameters, 5.1 GB",
            "  vae                AutoencoderKL, 83.7 million parameters, 334.6 MB, on the CPU while"
                + " unused",
            "  adapter            23.2 million parameters on 140 modules: to_q, to_k",
            "  value network      311,617 parameters",
            "  iterations         16",
            "  reward queries     512 for training, 320 for evaluation",
            "  gradient steps     640 on the value network, 260 on the adapter",
            "  memory that stays  weights 5.2 GB, optimisers 188.0 MB, trajectories 352.0 MB, encoded"
                + " prompts 60.0 MB",
            "  on top of it       sample 1.8 GB, policy 1.7 GB",
            "  a policy step      15.9 GB, with model.gradient-checkpointing 1.7 GB",
            "  peak               about 13.7 GB on cuda, as computed");
  }

  @Test
  void shouldBeOneLineOfJson() {
    assertThat(new RunJson().write(PLAN))
        .startsWith("{\"name\":\"red\",\"model\":{\"checkpoint\":\"models/sdxl\"")
        .contains("\"peak\":13700000000", "\"training_queries\":512", "\"image_width\":1024")
        .doesNotContain("\n");
  }
}
