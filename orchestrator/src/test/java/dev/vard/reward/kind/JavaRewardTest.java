package dev.vard.reward.kind;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardOutcome.Score;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.RewardSource;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import javax.tools.JavaCompiler;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JavaRewardTest {
  @TempDir Path folder;
  private Path plugins;

  @BeforeEach
  void make() throws IOException {
    plugins = Files.createDirectory(folder.resolve("plugins"));
  }

  /** A reward of the class path. */
  public static class OfTheClassPath implements Reward {
    final Map<String, Object> options;
    static final AtomicReference<OfTheClassPath> LAST = new AtomicReference<>();
    boolean closed;

    public OfTheClassPath(Map<String, Object> options) {
      if (options.containsKey("fail")) {
        throw new IllegalStateException(options.get("fail").toString());
      }
      if (options.containsKey("down")) {
        throw new RewardException("it", "DOWN", "its database sleeps", true, null);
      }
      this.options = options;
      LAST.set(this);
    }

    @Override
    public String name() {
      return "its own";
    }

    @Override
    public List<RewardOutcome> score(List<RewardQuery> queries) {
      return queries.stream()
          .<RewardOutcome>map(query -> new Score((Integer) options.get("offset") + query.seed()))
          .toList();
    }

    @Override
    public int batch() {
      return 9;
    }

    @Override
    public void close() {
      closed = true;
    }
  }

  /** Takes no options. */
  public static final class Plain extends OfTheClassPath {
    public Plain() {
      super(Map.of("offset", 0));
    }
  }

  /** Nobody can make it. */
  public static final class Hidden extends OfTheClassPath {
    private Hidden() {
      super(Map.of());
    }
  }

  /** Is not whole. */
  public abstract static class Half extends OfTheClassPath {
    public Half() {
      super(Map.of());
    }
  }

  private Reward open(String className, Map<String, Object> options) {
    return new RewardKinds(Asked.environment(plugins, Map.of()))
        .open(
            Asked.part(
                new RewardSource.JavaClass(className, options), Asked.asking(Asked.PATIENCE)));
  }

  private RewardException refusal(String className, Map<String, Object> options) {
    AtomicReference<RewardException> thrown = new AtomicReference<>();
    assertThatThrownBy(() -> open(className, options))
        .isInstanceOfSatisfying(RewardException.class, thrown::set);
    return thrown.get();
  }

  @Test
  void shouldBeOnTheClassPathAndTakeOptions() throws Exception {
    try (Reward reward = open(OfTheClassPath.class.getName(), Map.of("offset", 100))) {
      assertThat(reward.name()).isEqualTo("mine");
      assertThat(reward.batch()).isEqualTo(9);
      assertThat(reward.score(Asked.queries(2))).containsExactly(new Score(100), new Score(101));
    }
    assertThat(OfTheClassPath.LAST.get().closed).isTrue();
  }

  @Test
  void shouldNeedNoOptions() throws Exception {
    try (Reward reward = open(Plain.class.getName(), Map.of())) {
      assertThat(reward.score(Asked.queries(1))).containsExactly(new Score(0));
    }
  }

  @Test
  void shouldBeInAJarThatUsesAnother() throws Exception {
    jar(
        "mine.jar",
        "mine.Bright",
        """
        package mine;
        public class Bright implements dev.vard.reward.Reward {
          private static int made;
          private final int count = ++made;
          public String name() { return "bright"; }
          public java.util.List<dev.vard.reward.RewardOutcome> score(
              java.util.List<dev.vard.reward.RewardQuery> queries) {
            boolean own = Thread.currentThread().getContextClassLoader() == Bright.class.getClassLoader();
            return queries.stream()
                .<dev.vard.reward.RewardOutcome>map(
                    query -> new dev.vard.reward.RewardOutcome.Score(
                        other.Sum.of(query.image()) + (own ? 0 : Double.NaN)))
                .toList();
          }
          public int concurrency() { return count; }
        }
        """,
        "other.Sum",
        """
        package other;
        public class Sum {
          public static double of(dev.vard.reward.Image image) {
            double sum = 0;
            for (byte b : image.toBytes()) { sum += b & 0xff; }
            return sum;
          }
        }
        """);
    RewardQuery query = Asked.query(1);
    double sum = 0;
    for (byte b : query.image().toBytes()) {
      sum += b & 0xff;
    }
    try (Reward one = open("mine.Bright", Map.of());
        Reward other = open("mine.Bright", Map.of())) {
      assertThat(one.score(List.of(query))).containsExactly(new Score(sum));
      assertThat(other.score(List.of(query))).containsExactly(new Score(sum));
      assertThat(other.concurrency()).as("a class loader of its own").isEqualTo(1);
    }
  }

  @Test
  void shouldNameWhereItLooked() throws Exception {
    assertThat(refusal("mine.Missing", Map.of()))
        .hasMessageContaining("no jar in " + plugins)
        .hasMessageContaining("VARD_PLUGINS");
    jar("some.jar", "some.Thing", "package some; public class Thing {}");

    RewardException refusal = refusal("mine.Missing", Map.of());

    assertThat(refusal.code()).isEqualTo("CLASS_NOT_FOUND");
    assertThat(refusal)
        .hasMessageContaining("mine.Missing")
        .hasMessageContaining(plugins.resolve("some.jar").toString());
  }

  @Test
  void shouldNameWhatItNeeds() throws Exception {
    jar(
        "mine.jar",
        "mine.Bright",
        """
        package mine;
        public class Bright implements dev.vard.reward.Reward {
          private final other.Sum sum = new other.Sum();
          public String name() { return "bright"; }
          public java.util.List<dev.vard.reward.RewardOutcome> score(
              java.util.List<dev.vard.reward.RewardQuery> queries) { return null; }
          public other.Sum sum() { return sum; }
        }
        """,
        "other.Sum",
        "package other; public class Sum {}");
    Files.delete(plugins.resolve("other.Sum.jar"));

    assertThat(refusal("mine.Bright", Map.of())).hasMessageContaining("other/Sum");
  }

  @ParameterizedTest
  @CsvSource({
    "java.lang.String, NOT_A_REWARD, dev.vard.reward.Reward",
    "dev.vard.reward.kind.JavaRewardTest$Hidden, NO_CONSTRUCTOR, public constructor",
    "dev.vard.reward.kind.JavaRewardTest$Half, NO_CONSTRUCTOR, abstract"
  })
  void shouldRefuseWhatIsNoReward(String className, String code, String said) {
    RewardException refusal = refusal(className, Map.of());

    assertThat(refusal.code()).isEqualTo(code);
    assertThat(refusal.retryable()).isFalse();
    assertThat(refusal).hasMessageContaining(className).hasMessageContaining(said);
  }

  @Test
  void shouldRefuseOptionsThatNobodyTakes() {
    assertThat(refusal(Plain.class.getName(), Map.of("offset", 1)))
        .hasMessageContaining("takes no options");
  }

  @Test
  void shouldSayWhatItsConstructorSaid() {
    RewardException refusal =
        refusal(OfTheClassPath.class.getName(), Map.of("fail", "the model is not there"));

    assertThat(refusal.code()).isEqualTo("NOT_OPENED");
    assertThat(refusal).hasMessageContaining("the model is not there");
  }

  @Test
  void shouldPassOnItsOwnRefusal() {
    RewardException refusal = refusal(OfTheClassPath.class.getName(), Map.of("down", true));

    assertThat(refusal.code()).isEqualTo("DOWN");
    assertThat(refusal.retryable()).isTrue();
  }

  /** Compiles a class, and one that it uses, into two jars of the plug-in folder. */
  private void jar(String jar, String className, String source, String... other)
      throws IOException {
    Path classes = Files.createTempDirectory(folder, "classes");
    Map<String, String> sources =
        other.length == 0
            ? Map.of(className, source)
            : Map.of(className, source, other[0], other[1]);
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    assertThat(
            compiler
                .getTask(
                    null,
                    null,
                    null,
                    List.of("-proc:none", "-d", classes.toString()),
                    null,
                    sources.entrySet().stream()
                        .map(entry -> new Source(entry.getKey(), entry.getValue()))
                        .toList())
                .call())
        .isTrue();
    for (String name : sources.keySet()) {
      Path file = plugins.resolve(name.equals(className) ? jar : name + ".jar");
      String entry = name.replace('.', '/') + ".class";
      try (OutputStream out = Files.newOutputStream(file);
          JarOutputStream packed = new JarOutputStream(out)) {
        packed.putNextEntry(new JarEntry(entry));
        packed.write(Files.readAllBytes(classes.resolve(entry)));
      }
    }
  }

  private static final class Source extends SimpleJavaFileObject {
    private final String text;

    Source(String className, String text) {
      super(
          URI.create("string:///" + className.replace('.', '/') + Kind.SOURCE.extension),
          Kind.SOURCE);
      this.text = text;
    }

    @Override
    public CharSequence getCharContent(boolean ignoreEncodingErrors) {
      return text;
    }
  }
}
