package dev.vard.reward;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * What a JPEG says of its samples (ITU-T T.81 B.2, and Adobe's marker APP14).
 *
 * @param channels a pixel
 * @param luminance whether the first three are luminance and differences of colour: of four
 *     channels, as the marker says
 * @param plain the file without its colour profile, which would change how ImageIO decodes, or fail
 *     it if damaged
 */
record JpegHeader(int channels, boolean luminance, byte[] plain) {
  private static final byte[] PROFILE = "ICC_PROFILE\0".getBytes(StandardCharsets.US_ASCII);
  private static final int START = 2;
  private static final int START_OF_FRAME = 0xc0;
  private static final int LAST_START_OF_FRAME = 0xcf;
  private static final int APP2 = 0xe2;
  private static final int APP14 = 0xee;
  private static final int YCCK = 2;

  /** Of a file's bytes. */
  static JpegHeader of(byte[] bytes) throws IOException {
    boolean luminance = false;
    ByteArrayOutputStream plain = new ByteArrayOutputStream(bytes.length);
    plain.write(bytes, 0, START);
    for (int at = START; at + 4 < bytes.length; ) {
      int marker = at(bytes, at + 1);
      if (at(bytes, at) != 0xff || marker == 0xff) {
        // Any number of fill bytes precedes a marker.
        at++;
        continue;
      }
      int length = at(bytes, at + 2) << 8 | at(bytes, at + 3);
      if (marker == APP14 && length >= 14 && at + 16 <= bytes.length && bytes[at + 4] == 'A') {
        luminance = at(bytes, at + 15) == YCCK;
      }
      if (isStartOfFrame(marker) && at + 9 < bytes.length) {
        plain.write(bytes, at, bytes.length - at);
        return new JpegHeader(at(bytes, at + 9), luminance, plain.toByteArray());
      }
      int end = Math.min(at + 2 + length, bytes.length);
      if (marker != APP2 || !startsWith(bytes, at + 4, end, PROFILE)) {
        plain.write(bytes, at, end - at);
      }
      at = end;
    }
    throw new IOException("the JPEG ends before it says how large it is");
  }

  /** C4, C8 and CC are other tables. */
  private static boolean isStartOfFrame(int marker) {
    return marker >= START_OF_FRAME
        && marker <= LAST_START_OF_FRAME
        && marker != 0xc4
        && marker != 0xc8
        && marker != 0xcc;
  }

  private static boolean startsWith(byte[] bytes, int from, int to, byte[] start) {
    return to - from >= start.length
        && Arrays.equals(bytes, from, from + start.length, start, 0, start.length);
  }

  private static int at(byte[] bytes, int index) {
    return bytes[index] & 0xff;
  }
}
