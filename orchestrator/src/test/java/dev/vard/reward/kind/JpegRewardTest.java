package dev.vard.reward.kind;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.vard.reward.Image;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.RewardSource;
import dev.vard.spec.RewardSpec;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;

class JpegRewardTest {
  private static final Image FLAT = Image.of(32, 32, new byte[32 * 32 * 3]);
  private static final Image NOISE = noise();

  private static Image noise() {
    byte[] rgb = new byte[32 * 32 * 3];
    new Random(1).nextBytes(rgb);
    return Image.of(32, 32, rgb);
  }

  private static Reward open(RewardSource source) {
    return new RewardKinds(RewardEnvironment.of(Path.of("unused")))
        .open(RewardSpec.of(source).parts().getFirst());
  }

  private static double score(RewardSource source, Image image) throws Exception {
    RewardOutcome outcome =
        open(source).score(List.of(new RewardQuery(image, "", 1, "run", 1))).getFirst();
    return ((RewardOutcome.Score) outcome).value();
  }

  @Test
  void shouldBeMinusTheKilobytes() throws Exception {
    // ImageIO.write takes the default quality, 75.
    ByteArrayOutputStream jpeg = new ByteArrayOutputStream();
    BufferedImage image = NOISE.toBufferedImage();
    ImageIO.write(image, "jpeg", jpeg);

    assertThat(score(new RewardSource.JpegCompressibility(75), NOISE))
        .isEqualTo(-jpeg.size() / 1000.0, within(1e-12));
  }

  @Test
  void shouldBePlusTheKilobytesForIncompressibility() throws Exception {
    assertThat(score(new RewardSource.JpegIncompressibility(95), NOISE))
        .isEqualTo(-score(new RewardSource.JpegCompressibility(95), NOISE));
  }

  @Test
  void shouldPreferFlatImages() throws Exception {
    RewardSource spec = new RewardSource.JpegCompressibility(95);

    assertThat(score(spec, FLAT)).isGreaterThan(score(spec, NOISE) + 1);
  }

  @Test
  void shouldFollowTheQuality() throws Exception {
    assertThat(score(new RewardSource.JpegCompressibility(50), NOISE))
        .isGreaterThan(score(new RewardSource.JpegCompressibility(95), NOISE));
  }

  @Test
  void shouldNotMakeUpASuppliedReward() {
    assertThatThrownBy(() -> open(new RewardSource.Supplied()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("has to bring the reward");
  }
}
