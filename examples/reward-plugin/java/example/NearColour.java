package example;

import dev.vard.reward.Image;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardQuery;
import java.util.List;
import java.util.Map;

/**
 * Likes images whose mean colour is near a given one: 0 at best, -1 for black where white is
 * wanted.
 */
public final class NearColour implements Reward {
  private final int[] wanted = new int[3];

  /**
   * @param options of the specification: {@code colour}, as {@code "#ff8000"}
   */
  public NearColour(Map<String, Object> options) {
    if (!(options.get("colour") instanceof String colour && colour.matches("#[0-9a-fA-F]{6}"))) {
      throw new IllegalArgumentException("options.colour: give a colour as \"#ff8000\"");
    }
    for (int channel = 0; channel < 3; channel++) {
      wanted[channel] = Integer.parseInt(colour.substring(1 + 2 * channel, 3 + 2 * channel), 16);
    }
  }

  @Override
  public String name() {
    return "near-colour";
  }

  @Override
  public List<RewardOutcome> score(List<RewardQuery> queries) {
    return queries.stream()
        .<RewardOutcome>map(query -> new RewardOutcome.Score(nearness(query.image())))
        .toList();
  }

  private double nearness(Image image) {
    double squares = 0;
    for (int channel = 0; channel < 3; channel++) {
      double sum = 0;
      for (int y = 0; y < image.height(); y++) {
        for (int x = 0; x < image.width(); x++) {
          sum += image.at(y, x, channel);
        }
      }
      double away = sum / (image.height() * image.width()) - wanted[channel];
      squares += away * away;
    }
    return -Math.sqrt(squares / 3) / 255;
  }
}
