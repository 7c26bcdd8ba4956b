package dev.vard.reward.kind;

import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.AskingSpec;
import dev.vard.spec.AskingSpec.Range;
import dev.vard.spec.RewardSource;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A reward that somebody else wrote in Java: a public class on the class path, or in a jar of the
 * plug-in folder, that implements {@link Reward}. It has a public constructor that takes a {@code
 * Map<String, Object>}, the specification's options, or one that takes nothing.
 *
 * <p>All jars of the folder see one another. Each reward has a class loader of its own, which is
 * closed with it.
 */
final class JavaReward implements Reward {
  private final String name;
  private final URLClassLoader loader;
  private final Reward reward;

  private JavaReward(String name, URLClassLoader loader, Reward reward) {
    this.name = name;
    this.loader = loader;
    this.reward = reward;
  }

  /**
   * @throws RewardException if there is no such class, or it cannot be made; also the class's own
   */
  static JavaReward open(
      String name,
      RewardSource.JavaClass source,
      AskingSpec asking,
      RewardEnvironment environment) {
    List<Path> jars = jars(name, environment.plugins());
    URLClassLoader loader =
        new URLClassLoader(
            "reward-" + name,
            jars.stream().map(JavaReward::url).toArray(URL[]::new),
            JavaReward.class.getClassLoader());
    try {
      Reward reward =
          within(loader, () -> make(name, load(name, source, loader, environment, jars), source));
      return new JavaReward(name, loader, reward);
    } catch (LinkageError e) {
      close(loader);
      throw refused(
          name,
          "CLASS_BROKEN",
          "%s cannot be loaded (%s); put the jars that it needs beside its own in %s"
              .formatted(source.className(), e, environment.plugins()),
          e);
    } catch (Exception e) {
      close(loader);
      throw e instanceof RuntimeException unchecked ? unchecked : new IllegalStateException(e);
    }
  }

  private static List<Path> jars(String name, Path folder) {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(file -> file.toString().endsWith(".jar")).sorted().toList();
    } catch (IOException e) {
      throw refused(name, "NO_PLUGINS", "the plug-in folder " + folder + " cannot be read", e);
    }
  }

  private static URL url(Path jar) {
    try {
      return jar.toUri().toURL();
    } catch (MalformedURLException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Class<? extends Reward> load(
      String name,
      RewardSource.JavaClass source,
      ClassLoader loader,
      RewardEnvironment environment,
      List<Path> jars) {
    Class<?> found;
    try {
      found = Class.forName(source.className(), true, loader);
    } catch (ClassNotFoundException e) {
      throw refused(
          name,
          "CLASS_NOT_FOUND",
          "there is no class %s on the class path%s; put its jar into %s, or set VARD_PLUGINS to the folder that has it"
              .formatted(
                  source.className(),
                  jars.isEmpty()
                      ? ", and no jar in " + environment.plugins()
                      : " or in " + String.join(", ", jars.stream().map(Path::toString).toList()),
                  environment.plugins()),
          e);
    } catch (UnsupportedClassVersionError e) {
      throw refused(
          name,
          "CLASS_TOO_NEW",
          "%s was compiled for a newer Java than this (%s); compile it with --release %d"
              .formatted(source.className(), e.getMessage(), Runtime.version().feature()),
          e);
    }
    if (!Reward.class.isAssignableFrom(found)) {
      throw refused(
          name,
          "NOT_A_REWARD",
          "%s does not implement %s".formatted(source.className(), Reward.class.getName()),
          null);
    }
    return found.asSubclass(Reward.class);
  }

  private static Reward make(
      String name, Class<? extends Reward> type, RewardSource.JavaClass source) {
    try {
      Optional<? extends Constructor<? extends Reward>> withOptions = constructor(type, Map.class);
      if (withOptions.isPresent()) {
        return withOptions.get().newInstance(source.options());
      }
      Optional<? extends Constructor<? extends Reward>> plain = constructor(type);
      if (plain.isPresent() && !source.options().isEmpty()) {
        throw refused(
            name,
            "NO_CONSTRUCTOR",
            "%s takes no options; remove reward.options, or give it a public constructor that takes a Map<String, Object>"
                .formatted(source.className()),
            null);
      }
      return plain
          .orElseThrow(
              () ->
                  refused(
                      name,
                      "NO_CONSTRUCTOR",
                      "%s cannot be made; let it be a public class with a public constructor that takes a Map<String, Object>, or nothing"
                          .formatted(source.className()),
                      null))
          .newInstance();
    } catch (InvocationTargetException e) {
      if (e.getCause() instanceof RewardException own) {
        throw own;
      }
      throw refused(
          name,
          "NOT_OPENED",
          "the constructor of %s threw %s".formatted(source.className(), e.getCause()),
          e.getCause());
    } catch (ReflectiveOperationException e) {
      throw refused(
          name,
          "NO_CONSTRUCTOR",
          "%s cannot be made (%s); let it be public, and no abstract or inner class"
              .formatted(source.className(), e),
          e);
    }
  }

  private static Optional<Constructor<? extends Reward>> constructor(
      Class<? extends Reward> type, Class<?>... parameters) {
    try {
      return Optional.of(type.getConstructor(parameters));
    } catch (NoSuchMethodException e) {
      return Optional.empty();
    }
  }

  private static RewardException refused(
      String name, String code, String problem, @Nullable Throwable e) {
    return new RewardException(name, code, problem, false, e);
  }

  /** Libraries look for their own parts by the thread's class loader. */
  private static <T> T within(ClassLoader loader, Callable<T> work) throws Exception {
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    thread.setContextClassLoader(loader);
    try {
      return work.call();
    } finally {
      thread.setContextClassLoader(before);
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public List<RewardOutcome> score(List<RewardQuery> queries) throws Exception {
    return within(loader, () -> reward.score(queries));
  }

  @Override
  public int batch() {
    return reward.batch();
  }

  @Override
  public int concurrency() {
    return reward.concurrency();
  }

  @Override
  public Optional<Range> range() {
    return reward.range();
  }

  @Override
  public void close() {
    try {
      reward.close();
    } finally {
      close(loader);
    }
  }

  private static void close(URLClassLoader loader) {
    try {
      loader.close();
    } catch (IOException e) {
      throw new UncheckedIOException("the plug-ins' jars could not be closed", e);
    }
  }
}
