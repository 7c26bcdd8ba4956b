package dev.vard.cli.client;

import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * A run, as a person names it: {@code runs/x} or {@code x}.
 *
 * @param id without {@code runs/}
 */
record RunName(String id) {
  private static final String PREFIX = "runs/";
  private static final Pattern ID = Pattern.compile("[A-Za-z0-9._-]+");

  /** The resource's name. */
  @Override
  public String toString() {
    return PREFIX + id;
  }

  /** What the service calls a file of the run. */
  String artifact(String path) {
    return this + "/artifacts/" + path;
  }

  static RunName of(String name) {
    return new RunName(name.startsWith(PREFIX) ? name.substring(PREFIX.length()) : name);
  }

  /** As a command's parameter. */
  static final class Converter implements ITypeConverter<RunName> {
    @Override
    public RunName convert(String value) {
      RunName name = of(value);
      if (!ID.matcher(name.id()).matches()) {
        throw new TypeConversionException(
            "'" + value + "' is no run; give one as `./vard list` names it");
      }
      return name;
    }
  }
}
