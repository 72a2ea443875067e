"""graft's random numbers in Python, for oracles that are to see its order of examples. Source: common/base/random.h."""

_MASK = 0xFFFFFFFF
SHUFFLE = 1  # RandomStream::kShuffle


def philox4x32(counter, key):
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _MASK, (p0 >> 32) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + 0x9E3779B9) & _MASK, (k1 + 0xBB67AE85) & _MASK
    return c0, c1, c2, c3


def words(seed, stream, substream):
    """Endless 32-bit words of one (seed, stream, substream)."""
    counter = 0
    while True:
        yield from philox4x32((counter, stream, substream & _MASK, substream >> 32), (seed & _MASK, seed >> 32))
        counter += 1


def below(source, bound):
    """Uniform in [0, bound), without bias."""
    product = next(source) * bound
    threshold = (2**32 - bound) % bound
    while product & _MASK < threshold:
        product = next(source) * bound
    return product >> 32


def permutation(n, seed, stream, substream):
    order, source = list(range(n)), words(seed, stream, substream)
    for i in range(n, 1, -1):
        j = below(source, i)
        order[i - 1], order[j] = order[j], order[i - 1]
    return order


def batches(n, size, seed, steps):
    """The examples of each step, epoch behind epoch."""
    result, epoch = [], 0
    while len(result) < steps:
        order = permutation(n, seed, SHUFFLE, epoch)
        result += [order[i:i + size] for i in range(0, n, size)]
        epoch += 1
    return result[:steps]
