import dev.vard.proto.v1.DescribeRewardRequest;
import dev.vard.proto.v1.DescribeRewardResponse;
import dev.vard.proto.v1.RewardFailure;
import dev.vard.proto.v1.RewardOutcome;
import dev.vard.proto.v1.RewardQuery;
import dev.vard.proto.v1.RewardServiceGrpc;
import dev.vard.proto.v1.ScoreRequest;
import dev.vard.proto.v1.ScoreResponse;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import io.grpc.stub.StreamObserver;
import java.net.InetSocketAddress;

/**
 * A whole reward server in Java: how colourful is an image? From the project's folder, once {@code
 * ./vard run} has built the program:
 *
 * <pre>
 *   java -cp .vard/vard.jar examples/reward-servers/java/ScoreServer.java [PORT]
 *   ./vard run examples/emoji-grpc.yaml
 * </pre>
 *
 * <p>To make it one's own, put another function in the place of {@link #colourfulness}. It listens
 * on loopback; beyond it, give it TLS and ask for a token.
 */
public final class ScoreServer extends RewardServiceGrpc.RewardServiceImplBase {
  private static final int CHANNELS = 3;

  public static void main(String[] arguments) throws Exception {
    int port = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 50071;
    HealthStatusManager health = new HealthStatusManager();
    Server server =
        NettyServerBuilder.forAddress(
                new InetSocketAddress("127.0.0.1", port), InsecureServerCredentials.create())
            .addService(new ScoreServer())
            .addService(health.getHealthService())
            .build()
            .start();
    // Calls go elsewhere from now on; those that are here are answered.
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  health.enterTerminalState();
                  server.shutdown();
                }));
    System.out.println("listening on 127.0.0.1:" + server.getPort());
    server.awaitTermination();
  }

  @Override
  public void describeReward(
      DescribeRewardRequest request, StreamObserver<DescribeRewardResponse> answer) {
    if (!request.getReward().isEmpty() && !request.getReward().equals("colourfulness")) {
      answer.onError(Status.NOT_FOUND.withDescription("there is only colourfulness").asException());
      return;
    }
    answer.onNext(
        DescribeRewardResponse.newBuilder()
            .setName("colourfulness")
            .setVersion("1")
            .setLeast(0) // there is no most
            .setBatch(16)
            .build());
    answer.onCompleted();
  }

  @Override
  public void score(ScoreRequest request, StreamObserver<ScoreResponse> answer) {
    ScoreResponse.Builder response = ScoreResponse.newBuilder();
    for (RewardQuery query : request.getQueriesList()) {
      response.addOutcomes(outcome(query));
    }
    answer.onNext(response.build());
    answer.onCompleted();
  }

  private static RewardOutcome outcome(RewardQuery query) {
    byte[] rgb = query.getRgb().toByteArray();
    if (rgb.length == 0 || rgb.length != CHANNELS * query.getHeight() * query.getWidth()) {
      // What cannot be scored is a failure, never a 0.
      return RewardOutcome.newBuilder()
          .setFailure(
              RewardFailure.newBuilder()
                  .setCode("BAD_IMAGE")
                  .setMessage(
                      "%d bytes are no RGB image of %d x %d"
                          .formatted(rgb.length, query.getHeight(), query.getWidth()))
                  .setRetryable(false))
          .build();
    }
    return RewardOutcome.newBuilder().setScore(colourfulness(rgb)).build();
  }

  /**
   * Hasler and Süsstrunk, "Measuring colourfulness in natural images" (2003): 0 is grey, 100 and
   * more extremely colourful.
   */
  static double colourfulness(byte[] rgb) {
    int pixels = rgb.length / CHANNELS;
    double sumRg = 0;
    double sumYb = 0;
    double squaresRg = 0;
    double squaresYb = 0;
    for (int i = 0; i < rgb.length; i += CHANNELS) {
      int red = rgb[i] & 0xff;
      int green = rgb[i + 1] & 0xff;
      int blue = rgb[i + 2] & 0xff;
      double rg = red - green;
      double yb = (red + green) / 2.0 - blue;
      sumRg += rg;
      sumYb += yb;
      squaresRg += rg * rg;
      squaresYb += yb * yb;
    }
    double meanRg = sumRg / pixels;
    double meanYb = sumYb / pixels;
    double variances = squaresRg / pixels - meanRg * meanRg + squaresYb / pixels - meanYb * meanYb;
    return Math.sqrt(Math.max(0, variances)) + 0.3 * Math.hypot(meanRg, meanYb);
  }
}
