# Writes files.json: data files as SciPy and NumPy write them, in base64. Run: python3 fixtures.py (NumPy, SciPy).
# Pixel (image n, channel c, row h, column w) is (7 h + 3 w + 50 c + 11 n) mod 256, so that any axis that is swapped shows.
import base64
import io
import json
import os

import numpy as np
import scipy
import scipy.io


def pixels(count, channels, height, width):
    """[count, channels, height, width]"""
    n, c, h, w = np.meshgrid(*[np.arange(size) for size in (count, channels, height, width)], indexing="ij")
    return ((7 * h + 3 * w + 50 * c + 11 * n) % 256).astype(np.uint8)


def mat(count, labels, **options):
    out = io.BytesIO()
    images = np.transpose(pixels(count, 3, 32, 32), (2, 3, 1, 0))
    scipy.io.savemat(out, {"note": "other", "X": images, "y": labels}, **options)
    return out.getvalue()


def npz(save, **arrays):
    out = io.BytesIO()
    save(out, **arrays)
    return out.getvalue()


def arrays(images, label_type):
    labels = np.arange(images.shape[0]) % 10
    return {
        "x_train": images,
        "y_train": labels.astype(label_type),
        "x_test": images[:3],
        "y_test": labels[:3].astype(label_type).reshape(-1, 1),
    }


planes = pixels(12, 3, 5, 4)
ten = (np.arange(12) % 10 + 1).reshape(-1, 1)
files = {
    "svhn-train": mat(12, ten.astype(np.uint8), do_compression=True),
    "svhn-test": mat(3, ten[:3].astype(np.float64), do_compression=False),
    "npz-nhw": npz(np.savez, **arrays(planes[:, 0], np.uint8)),
    "npz-nhwc": npz(np.savez_compressed, **arrays(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), np.int64)),
    "npz-nchw": npz(np.savez_compressed, **arrays(planes, ">i2")),
    "npz-fortran": npz(np.savez, **arrays(np.asfortranarray(planes[:, 0]), np.uint8)),
    "npz-float": npz(np.savez, **arrays(planes[:, 0].astype(np.float32), np.uint8)),
}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "files.json"), "w") as out:
    encoded = {name: base64.b64encode(content).decode() for name, content in files.items()}
    json.dump({"numpy": np.__version__, "scipy": scipy.__version__, **encoded}, out, indent=2)
    out.write("\n")
