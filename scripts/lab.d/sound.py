"""Is each party's tone, and no other, in its channel of the recording, all the time?"""
import math
import struct
import wave

WINDOW_S = 0.25             # of whole periods of all tones used, nearly: leakage is far below what is asked
EDGE_S = 0.3                # at both ends: media begin a little after the answer, and end a little before or after the BYE


def power(samples, rate, hertz):
    """Goertzel: the mean power of one tone"""
    w = 2 * math.cos(2 * math.pi * hertz / rate)
    a = b = 0.0
    for x in samples:
        a, b = x + w * a - b, a
    return 2 * (a * a + b * b - w * a * b) / len(samples) ** 2


def complaints(path, tones, begin, end):
    """`begin` and `end` of the sound in seconds of the file"""
    with wave.open(path) as w:
        channels, width, rate, frames = w.getnchannels(), w.getsampwidth(), w.getframerate(), w.getnframes()
        data = w.readframes(frames)
    if channels != 2 or width != 2:
        yield f'{channels} channels of {8 * width} bits instead of two of 16'
        return
    # A phone that this machine holds up sends its last packets late; for 1.2 s after the end they still count.
    if not -0.3 < frames / rate - end < 1.3:
        yield f'{frames / rate:.3f} s of sound instead of {end:.3f}'
    samples = struct.unpack(f'<{2 * frames}h', data)
    size = int(WINDOW_S * rate)
    for channel, own in enumerate(tones):
        other = tones[1 - channel]
        for at in range(int((begin + EDGE_S) * rate), int((min(end, frames / rate) - EDGE_S) * rate) - size, size):
            window = samples[2 * at + channel:2 * (at + size):2]
            mine, theirs = power(window, rate, own), power(window, rate, other)
            if mine < 1e6 or theirs > mine / 1000:
                yield f'channel {channel} at {at / rate:.2f} s: {own} Hz {mine:.0f}, {other} Hz {theirs:.0f}'
                break
