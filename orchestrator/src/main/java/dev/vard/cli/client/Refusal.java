package dev.vard.cli.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.Status;
import dev.vard.text.Printable;
import io.grpc.Status.Code;
import io.grpc.StatusException;
import io.grpc.protobuf.StatusProto;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.net.ssl.SSLException;

/** Why a call failed, for people: what was wrong, where, and what to do. */
final class Refusal {
  private static final String DOMAIN = "vard.dev";

  /** Netty leads by it, and by a number, what a person needs. */
  private static final Pattern SYSTEM_CALL = Pattern.compile("^\\w+\\(\\.\\.\\) failed[^:]*: ");

  /** Where a problem of a specification is that was sent. */
  private static final Pattern SENT = Pattern.compile("(?m)^specification(:\\d+)?: ");

  private Refusal() {}

  /**
   * @param tls whether the call was made by TLS
   */
  static String of(StatusException e, ServerAddress address, boolean tls) {
    return printable(words(e, address, tls));
  }

  /**
   * What the server itself said of a specification that was made of a file: it tells lines of what
   * was sent, which the file does not have.
   */
  static String of(StatusException e, Path file) {
    return SENT.matcher(printable(said(e))).replaceAll(Matcher.quoteReplacement(file + ": "));
  }

  private static String printable(String text) {
    return text.lines().map(Printable::line).collect(Collectors.joining("\n"));
  }

  private static String words(StatusException e, ServerAddress address, boolean tls) {
    return isOurs(e)
        ? said(e)
        : switch (e.getStatus().getCode()) {
          case UNAVAILABLE -> unreachable(e, address, tls);
          case DEADLINE_EXCEEDED ->
              address
                  + " did not answer within "
                  + RunServer.PATIENCE.toSeconds()
                  + " s: try again, or see in its log what keeps it busy";
          case UNIMPLEMENTED ->
              "what listens at " + address + " is no vard server, or one of another version";
          default -> address + " answered " + e.getStatus().getCode() + ": " + reason(e);
        };
  }

  /** Whether the server itself said it, and not the way to it. */
  static boolean isOurs(StatusException e) {
    return details(e, ErrorInfo.class).anyMatch(info -> info.getDomain().equals(DOMAIN));
  }

  /** What it came from, in the words of whoever noticed. */
  static String reason(StatusException e) {
    String words =
        causes(e)
            .map(Throwable::getMessage)
            .filter(text -> text != null)
            .reduce((cause, deeper) -> deeper)
            .or(() -> Optional.ofNullable(e.getStatus().getDescription()))
            .orElse("no further reason");
    return SYSTEM_CALL.matcher(words).replaceFirst("");
  }

  /** The server's own words, led by the field that they are about. */
  private static String said(StatusException e) {
    String message = Optional.ofNullable(e.getStatus().getDescription()).orElse("");
    if (e.getStatus().getCode() == Code.NOT_FOUND) {
      // It says itself what is not there.
      return message;
    }
    String fields =
        details(e, BadRequest.class)
            .flatMap(request -> request.getFieldViolationsList().stream())
            .map(Refusal::violation)
            .collect(Collectors.joining("\n"));
    String text = fields.isEmpty() ? message : fields;
    return e.getStatus().getCode() == Code.UNAUTHENTICATED
        ? text + " (--token-file FILE or VARD_TOKEN; --cert and --key)"
        : text;
  }

  private static String violation(BadRequest.FieldViolation violation) {
    String field = violation.getField();
    String description = violation.getDescription();
    return description.startsWith(field) ? description : field + ": " + description;
  }

  private static String unreachable(StatusException e, ServerAddress address, boolean tls) {
    if (causes(e).anyMatch(SSLException.class::isInstance)) {
      return "TLS with "
          + address
          + " failed ("
          + reason(e)
          + "): check --ca, --cert and --key, and that the server speaks TLS";
    }
    return "no server answers at "
        + address
        + " ("
        + reason(e)
        + "): start one with `./vard serve`, or name another with --server HOST:PORT"
        + (tls ? "" : "; one that speaks TLS needs --ca or --tls");
  }

  private static Stream<Throwable> causes(Throwable e) {
    return Stream.iterate(e.getCause(), cause -> cause != null, Throwable::getCause);
  }

  private static <T extends Message> Stream<T> details(StatusException e, Class<T> type) {
    return Stream.ofNullable(StatusProto.fromThrowable(e))
        .map(Status::getDetailsList)
        .flatMap(details -> details.stream())
        .filter(detail -> detail.is(type))
        .flatMap(detail -> unpacked(detail, type));
  }

  /** Empty where a detail is not what it says it is: the message is still there to be told. */
  private static <T extends Message> Stream<T> unpacked(Any detail, Class<T> type) {
    try {
      return Stream.of(detail.unpack(type));
    } catch (InvalidProtocolBufferException e) {
      return Stream.empty();
    }
  }
}
