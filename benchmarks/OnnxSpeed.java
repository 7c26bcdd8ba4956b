import com.sun.management.OperatingSystemMXBean;
import dev.vard.reward.Answer;
import dev.vard.reward.Image;
import dev.vard.reward.RewardQuery;
import dev.vard.reward.RewardScorer;
import dev.vard.reward.Rewards;
import dev.vard.reward.kind.RewardEnvironment;
import dev.vard.reward.kind.RewardKinds;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecReader;
import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * The JVM's arm of onnx.py: scores the same images each time a line comes, through what a run
 * scores with, and answers with the seconds, the processor's seconds and the sum of the scores.
 *
 * <p>Arguments: a specification; a file of raw images; how many; their side in pixels.
 */
final class OnnxSpeed {
  public static void main(String[] arguments) throws Exception {
    RunSpec spec = new SpecReader().read(Path.of(arguments[0]), List.of());
    List<RewardQuery> queries = queries(arguments);
    OperatingSystemMXBean process =
        ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    try (Rewards rewards =
            new RewardKinds(RewardEnvironment.of(Path.of("unused.log"))).open(spec.reward());
        RewardScorer scorer = new RewardScorer(rewards)) {
      System.out.println("ready");
      BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
      while (lines.readLine() != null) {
        long cpu = process.getProcessCpuTime();
        long begin = System.nanoTime();
        List<Map<Integer, Answer>> nothing = Collections.nCopies(1, Map.of());
        RewardScorer.Round round = scorer.round(queries.size(), nothing, RewardScorer.Ledger.NONE);
        for (RewardQuery query : queries) {
          round.add(query);
        }
        List<Answer> answers = round.await().getFirst();
        double seconds = (System.nanoTime() - begin) / 1e9;
        double busy = (process.getProcessCpuTime() - cpu) / 1e9;
        double sum =
            answers.stream().collect(Collectors.summingDouble(a -> ((Answer.Scored) a).score()));
        System.out.println(String.format(Locale.ROOT, "%.6f %.6f %.9f", seconds, busy, sum));
      }
    }
  }

  private static List<RewardQuery> queries(String[] arguments) throws Exception {
    int count = Integer.parseInt(arguments[2]);
    int side = Integer.parseInt(arguments[3]);
    List<RewardQuery> queries = new ArrayList<>();
    try (DataInputStream in = new DataInputStream(Files.newInputStream(Path.of(arguments[1])))) {
      for (int i = 0; i < count; i++) {
        byte[] rgb = new byte[side * side * 3];
        in.readFully(rgb);
        queries.add(new RewardQuery(Image.of(side, side, rgb), "", i, "benchmark", 1));
      }
    }
    return queries;
  }
}
