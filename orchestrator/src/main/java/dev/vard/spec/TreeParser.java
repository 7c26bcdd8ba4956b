package dev.vard.spec;

import dev.vard.spec.SpecProblem.Code;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Compose;
import org.snakeyaml.engine.v2.api.lowlevel.Parse;
import org.snakeyaml.engine.v2.events.CollectionEndEvent;
import org.snakeyaml.engine.v2.events.CollectionStartEvent;
import org.snakeyaml.engine.v2.events.Event;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;
import org.snakeyaml.engine.v2.schema.CoreSchema;

/** Makes a {@link Tree} of YAML text. */
final class TreeParser {
  /** Levels of nesting that are read: a specification has 4. */
  private static final int DEPTH = 32;

  /** Nodes that aliases may add to those that stand in the text. */
  private static final int NODES = 10_000;

  /** Keys of one mapping that are read: a section has some 30, a reward's options a few more. */
  static final int MOST_KEYS = 1_000;

  private final Origin source;
  private final List<SpecProblem> problems;
  private int left;

  /**
   * @param source stands in every origin; its line is used where the text's own lines mean nothing
   * @param problems what is wrong is added here
   */
  TreeParser(Origin source, List<SpecProblem> problems) {
    this.source = source;
    this.problems = problems;
  }

  /** The document, or nothing where the text is empty or is no YAML. */
  Optional<Tree> parse(String yaml) {
    LoadSettings settings =
        LoadSettings.builder()
            .setLabel(source.source())
            .setSchema(new CoreSchema())
            // Read at once: its reader stumbles over an emoji that lies across two of its buffers.
            .setBufferSize(yaml.length() + 1)
            .build();
    try {
      left = NODES + requireShallow(settings, yaml);
      return new Compose(settings).composeString(yaml).map(node -> tree(node, origin(node), "", 0));
    } catch (Unbounded e) {
      problems.add(new SpecProblem(Code.BAD_YAML, e.place, e.path, e.message));
    } catch (MarkedYamlEngineException e) {
      int line = e.getProblemMark().map(mark -> mark.getLine() + 1).orElse(0);
      problems.add(
          new SpecProblem(Code.BAD_YAML, at(line), "", "this is not YAML: " + e.getProblem()));
    } catch (YamlEngineException e) {
      problems.add(
          new SpecProblem(Code.BAD_YAML, source, "", "this is not YAML: " + e.getMessage()));
    }
    return Optional.empty();
  }

  /**
   * Composing calls itself for each level: a hostile text would overflow the stack.
   *
   * @return how many events the text has
   */
  private int requireShallow(LoadSettings settings, String yaml) {
    int depth = 0;
    int events = 0;
    for (Event event : new Parse(settings).parseString(yaml)) {
      events++;
      requireWanted();
      if (event instanceof CollectionStartEvent && ++depth > DEPTH) {
        throw new Unbounded(
            source, "", "this nests deeper than " + DEPTH + " levels; a specification has 4");
      } else if (event instanceof CollectionEndEvent) {
        depth--;
      }
    }
    return events;
  }

  /** Whoever waits for the answer may have given up: a server's deadline interrupts. */
  private void requireWanted() {
    if (Thread.currentThread().isInterrupted()) {
      throw new Unbounded(source, "", "reading it was given up; give a shorter one");
    }
  }

  private Tree tree(Node node, Origin origin, String path, int depth) {
    if (depth > DEPTH || left-- <= 0) {
      throw new Unbounded(
          source,
          "",
          "its aliases (*name) stand for too much, or for themselves; write out what they mean");
    }
    return switch (node) {
      case ScalarNode scalar -> new Tree.Scalar(origin, scalar.getValue(), kind(scalar.getTag()));
      case SequenceNode sequence -> {
        List<Tree> items = new ArrayList<>();
        for (Node item : sequence.getValue()) {
          items.add(tree(item, origin(item), path, depth + 1));
        }
        yield new Tree.Sequence(origin, List.copyOf(items));
      }
      case MappingNode mapping -> mapping(mapping, origin, path, depth);
      default -> throw new IllegalStateException("a node of unknown type: " + node.getNodeType());
    };
  }

  private Tree.Mapping mapping(MappingNode mapping, Origin origin, String path, int depth) {
    requireWanted();
    if (mapping.getValue().size() > MOST_KEYS) {
      throw new Unbounded(
          origin, path, "has " + mapping.getValue().size() + " keys; give at most " + MOST_KEYS);
    }
    Map<String, Tree> entries = new LinkedHashMap<>();
    for (NodeTuple entry : mapping.getValue()) {
      Origin place = origin(entry.getKeyNode());
      if (!(entry.getKeyNode() instanceof ScalarNode name)) {
        problems.add(
            new SpecProblem(
                Code.WRONG_TYPE, place, path, "a key is a list or a mapping; give a name"));
        continue;
      }
      String key = name.getValue();
      String full = path.isEmpty() ? key : path + "." + key;
      Tree value = tree(entry.getValueNode(), place, full, depth + 1);
      if (entries.putIfAbsent(key, value) != null && problems.size() < Given.MOST_PROBLEMS) {
        problems.add(
            new SpecProblem(
                Code.DUPLICATE_KEY,
                place,
                full,
                "is given twice, first at " + entries.get(key).origin() + "; remove one"));
      }
    }
    return new Tree.Mapping(origin, entries);
  }

  private Origin origin(Node node) {
    return at(node.getStartMark().map(mark -> mark.getLine() + 1).orElse(0));
  }

  /** A command line has no lines. */
  private Origin at(int line) {
    return source.line() == 0 ? source : source.at(line);
  }

  /** A short text that means more than can be held: told like any other problem. */
  private static final class Unbounded extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final transient Origin place;
    private final String path;
    private final String message;

    Unbounded(Origin place, String path, String message) {
      super(message, null, false, false);
      this.place = place;
      this.path = path;
      this.message = message;
    }
  }

  private static Tree.Scalar.Kind kind(Tag tag) {
    if (tag.equals(Tag.INT)) {
      return Tree.Scalar.Kind.WHOLE;
    }
    if (tag.equals(Tag.FLOAT)) {
      return Tree.Scalar.Kind.DECIMAL;
    }
    if (tag.equals(Tag.BOOL)) {
      return Tree.Scalar.Kind.BOOLEAN;
    }
    if (tag.equals(Tag.NULL)) {
      return Tree.Scalar.Kind.NOTHING;
    }
    return Tree.Scalar.Kind.TEXT;
  }
}
