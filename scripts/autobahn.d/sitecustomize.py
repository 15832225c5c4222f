# Python reads this before the suite (scripts/autobahn). A Python 2.7 that was built without OpenSSL takes SHA-1, of which the
# suite makes one for each message of the cases on compression, from a module that is several times as slow; that is a third of
# the time they take. The suite brings an OpenSSL with it, so it is taken from there.
import binascii
import hashlib

try:
    import _hashlib
except ImportError:
    try:
        from cryptography.hazmat.backends.openssl.backend import backend
        from cryptography.hazmat.primitives import hashes
    except ImportError:
        pass
    else:

        class Sha1(object):
            digest_size = 20

            def __init__(self, data=b''):
                self.running = hashes.Hash(hashes.SHA1(), backend)
                self.update(data)

            def update(self, data):
                self.running.update(bytes(data))

            def digest(self):
                return self.running.copy().finalize()

            def hexdigest(self):
                return binascii.hexlify(self.digest())

        hashlib.sha1 = Sha1

# Those cases decode their whole file for each message that they send, which is a fifth of the time they take. So the last
# string of such a length is remembered: the object, not what is in it.
from encodings import utf_8

decode_utf_8 = utf_8.decode
decoded = (None, None)


def decode(data, errors='strict'):
    global decoded
    if len(data) < 150000:
        return decode_utf_8(data, errors)
    if data is not decoded[0]:
        decoded = (data, decode_utf_8(data, errors))
    return decoded[1]


utf_8.decode = decode
