package dev.vard.reward.kind;

import dev.vard.reward.RewardException;
import dev.vard.spec.RewardSource;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Finds the token that a remote reward lets us in with. */
final class RemoteAccess {
  private RemoteAccess() {}

  /**
   * @param hosts that it would be sent to
   * @throws RewardException if the variable that is to hold it does not, or if it would travel in
   *     plain text beyond this machine
   */
  static Optional<String> token(
      String reward,
      RewardSource.Access access,
      List<String> hosts,
      RewardEnvironment environment) {
    if (access.tokenEnv().isEmpty()) {
      return Optional.empty();
    }
    String variable = access.tokenEnv().get();
    String token = environment.variables().apply(variable).map(String::strip).orElse("");
    if (!token.matches("[\\x21-\\x7e]+")) { // what a header can hold
      throw new RewardException(
          reward,
          "NO_TOKEN",
          token.isEmpty()
              ? "the environment variable %s is not set; set it to the server's token, or remove"
                      .formatted(variable)
                  + " reward.token-env"
              : "the environment variable %s holds no token, but characters beyond ASCII or blanks"
                  .formatted(variable),
          false,
          null);
    }
    if (!access.tls()) {
      for (String host : hosts) {
        if (!isLoopback(host)) {
          throw new RewardException(
              reward,
              "TOKEN_IN_THE_CLEAR",
              "the token would travel to %s in plain text; use TLS (tls: true, or an https URL)"
                  .formatted(host),
              false,
              null);
        }
      }
    }
    return Optional.of(token);
  }

  /** Every address that the name stands for must be; a name that stands for none is not. */
  private static boolean isLoopback(String host) {
    try {
      return Arrays.stream(InetAddress.getAllByName(host)).allMatch(InetAddress::isLoopbackAddress);
    } catch (UnknownHostException e) {
      return false;
    }
  }
}
