package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.worker.WorkerEnvironment;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The launcher, and terminals: {@code src/test/shell}, in Python, which can make file names of any
 * bytes, and pseudo-terminals.
 */
@Timeout(600)
class LauncherTest {

  private static final Path TESTS = Path.of("src/test/shell");

  static Stream<String> files() throws IOException {
    try (Stream<Path> all = Files.list(TESTS)) {
      return all
          .map(file -> file.getFileName().toString())
          .filter(name -> name.startsWith("test_"))
          .sorted()
          .toList()
          .stream();
    }
  }

  @ParameterizedTest
  @MethodSource("files")
  void shouldPass(String file, @TempDir Path folder) throws Exception {
    ProcessBuilder pytest =
        WorkerEnvironment.find()
            .process(
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "--basetemp=" + folder.resolve("pytest"),
                TESTS.resolve(file).toString())
            .redirectErrorStream(true);
    pytest
        .environment()
        .putAll(
            Map.of(
                "VARD_JAR", jar(folder).toString(), "JAVA_HOME", System.getProperty("java.home")));
    Process process = pytest.start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

    assertThat(process.waitFor()).as(said).isZero();
  }

  /** What the launcher starts: this build, of which there is no jar yet. */
  private static Path jar(Path folder) throws Exception {
    Manifest manifest = new Manifest();
    Attributes attributes = manifest.getMainAttributes();
    attributes.put(Attributes.Name.MANIFEST_VERSION, "1.0");
    attributes.put(Attributes.Name.MAIN_CLASS, Main.class.getName());
    attributes.put(
        Attributes.Name.CLASS_PATH,
        Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
            .map(entry -> Path.of(entry).toUri().toString())
            .collect(Collectors.joining(" ")));
    Path jar = folder.resolve("vard.jar");
    try (OutputStream file = Files.newOutputStream(jar);
        JarOutputStream out = new JarOutputStream(file, manifest)) {
      out.finish();
    }
    return jar;
  }
}
