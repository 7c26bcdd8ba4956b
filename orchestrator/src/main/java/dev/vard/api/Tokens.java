package dev.vard.api;

import dev.vard.files.TextFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermission;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The tokens that are let in, each with whom it stands for. Holds digests alone: what is not there
 * cannot be logged.
 */
final class Tokens {
  private static final int MIN_CHARACTERS = 16;
  private static final String DIGEST_PREFIX = "sha256:";
  private static final Pattern DIGEST = Pattern.compile("[0-9a-f]{64}");

  /** What may travel after {@code Bearer}, by RFC 6750. */
  private static final Pattern TOKEN = Pattern.compile("[A-Za-z0-9._~+/-]+=*");

  private static final Pattern OWNER = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._@-]{0,63}");

  /** Lets nobody in. */
  static final Tokens NONE = new Tokens(List.of());

  private final List<Entry> entries;

  private Tokens(List<Entry> entries) {
    this.entries = entries;
  }

  /** Whom a token stands for. */
  record Owner(String name, boolean admin) {}

  private record Entry(Owner owner, byte[] digest) {}

  /** Whether this can be an owner's name. */
  static boolean isOwner(String name) {
    return OWNER.matcher(name).matches();
  }

  /** What was read of a file, and what is wrong with the rest of it. */
  record Parsed(Tokens tokens, List<String> problems) {}

  /**
   * Reads a file with a line {@code OWNER TOKEN [admin]} for each token, where {@code sha256:<64
   * hex digits>} may stand for the token. An owner may have several.
   *
   * @throws SettingsException with all that is wrong, and no token
   */
  static Tokens read(Path file) {
    return read(file, content(file));
  }

  /** The same, of what was read. */
  static Tokens read(Path file, byte[] content) {
    Parsed parsed = parse(file, content);
    if (!parsed.problems().isEmpty()) {
      throw new SettingsException(String.join("\n", parsed.problems()));
    }
    return parsed.tokens();
  }

  /**
   * @throws SettingsException if it cannot be read
   */
  static byte[] content(Path file) {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new SettingsException(
          "the tokens file %s cannot be read (%s): check that it is there and readable"
              .formatted(file, e),
          e);
    }
  }

  /** Every line that is one, and what is wrong with the others. A byte order mark is no line's. */
  static Parsed parse(Path file, byte[] content) {
    // What is no UTF-8 becomes a character that no token has: its line is named.
    List<String> lines =
        TextFile.plain(new String(content, StandardCharsets.UTF_8)).lines().toList();
    Parsing parsing = new Parsing();
    for (int i = 0; i < lines.size(); i++) {
      parsing.line("%s:%d".formatted(file, i + 1), lines.get(i).strip());
    }
    if (parsing.plain && readableByAll(file)) {
      parsing.problems.add(
          "%s: everybody on this machine can read the tokens in it: run chmod 600 %s, or write sha256:<hex> in place of each"
              .formatted(file, file));
    }
    if (parsing.entries.isEmpty() && parsing.problems.isEmpty()) {
      parsing.problems.add(
          "%s: there is no token in it: give a line OWNER TOKEN [admin] for each".formatted(file));
    }
    return new Parsed(new Tokens(List.copyOf(parsing.entries)), List.copyOf(parsing.problems));
  }

  boolean isEmpty() {
    return entries.isEmpty();
  }

  /**
   * Compares with all, however early one fits, each in constant time: how long it takes tells
   * nothing.
   */
  Optional<Owner> find(String token) {
    return find(digest(token));
  }

  /** The same, of {@link #digest}. */
  Optional<Owner> find(byte[] digest) {
    Optional<Owner> found = Optional.empty();
    for (Entry entry : entries) {
      if (MessageDigest.isEqual(entry.digest, digest)) {
        found = Optional.of(entry.owner);
      }
    }
    return found;
  }

  /** What is held of a token. */
  static byte[] digest(String token) {
    return sha256(token.getBytes(StandardCharsets.UTF_8));
  }

  /** What is held of a file. */
  static byte[] sha256(byte[] bytes) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(bytes);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  private static boolean readableByAll(Path file) {
    PosixFileAttributeView view = Files.getFileAttributeView(file, PosixFileAttributeView.class);
    try {
      // Where there are no such permissions, the folder's have to do.
      return view != null
          && view.readAttributes().permissions().contains(PosixFilePermission.OTHERS_READ);
    } catch (IOException e) {
      throw new SettingsException("%s: %s".formatted(file, e), e);
    }
  }

  /** One file on its way from lines to entries. */
  private static final class Parsing {
    final List<Entry> entries = new ArrayList<>();
    final List<String> problems = new ArrayList<>();
    private final Map<String, String> places = new HashMap<>();
    boolean plain;

    void line(String place, String line) {
      if (line.isEmpty() || line.startsWith("#")) {
        return;
      }
      String[] words = line.split("\\s+");
      boolean admin = words.length == 3 && words[2].equals("admin");
      if (words.length != 2 && !admin) {
        problems.add(
            place
                + ": this is not OWNER TOKEN [admin]: give an owner and a token without spaces, and"
                + " `admin` or nothing");
        return;
      }
      if (!isOwner(words[0])) {
        problems.add(
            place
                + ": the owner must begin with a letter or digit and have at most 64 letters,"
                + " digits, '.', '_', '@' and '-'");
        return;
      }
      digest(place, words[1])
          .ifPresent(digest -> add(place, new Entry(new Owner(words[0], admin), digest)));
    }

    private void add(String place, Entry entry) {
      String earlier = places.putIfAbsent(HexFormat.of().formatHex(entry.digest), place);
      if (earlier == null) {
        entries.add(entry);
      } else {
        problems.add(place + ": the same token as in " + earlier + ": make one of its own");
      }
    }

    private Optional<byte[]> digest(String place, String token) {
      if (token.startsWith(DIGEST_PREFIX)) {
        String hex = token.substring(DIGEST_PREFIX.length()).toLowerCase(Locale.ROOT);
        if (!DIGEST.matcher(hex).matches()) {
          problems.add(
              place
                  + ": sha256: needs 64 hex digits after it, as `printf %s TOKEN | sha256sum`"
                  + " prints them");
          return Optional.empty();
        }
        return Optional.of(HexFormat.of().parseHex(hex));
      }
      plain = true;
      if (token.length() < MIN_CHARACTERS) {
        problems.add(
            "%s: the token is shorter than %d characters: make one with `openssl rand -hex 32`"
                .formatted(place, MIN_CHARACTERS));
        return Optional.empty();
      }
      if (!TOKEN.matcher(token).matches()) {
        problems.add(
            place
                + ": a token has letters, digits and '-._~+/' alone, '=' at its end: make one with"
                + " `openssl rand -hex 32`");
        return Optional.empty();
      }
      return Optional.of(Tokens.digest(token));
    }
  }
}
