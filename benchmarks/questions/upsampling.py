"""Asks whether a transposed convolution leaves a checkerboard (C3)."""

from benchmarks.questions.base import CHECKERBOARD, Arm, Decision, Question, better

KERNEL_4 = Arm("transposed-4", "dcgan", "large", "transposed convolution, kernel 4, stride 2")
KERNEL_5 = KERNEL_4.vary("transposed-5", "transposed convolution, kernel 5, stride 2", upsampling_kernel=5)
RESIZED = KERNEL_4.vary("resized", "resizing, then convolution", upsampling="resize")
SHUFFLED = KERNEL_4.vary("pixel-shuffle", "pixel shuffle", upsampling="pixel_shuffle")
MARGIN = 0.3


def cleaner(name: str, control: Arm, says: str) -> Decision:
    return Decision(
        name,
        "C3",
        says,
        (better(RESIZED, control, CHECKERBOARD, MARGIN, networks=("generator",)),),
        "a factor of two in spectral power; chosen, not tuned",
        "images of resizing whose checkerboard has more power by as much",
        equal="generator updates, batch, channels, discriminator, tuning budget",
    )


QUESTION = Question(
    name="upsampling",
    title="Upsampling and the checkerboard",
    asks="Do transposed convolutions leave a checkerboard in the images, and does resizing avoid it?",
    claims={
        "C3": "A transposed convolution multiplies each entry of its input with the whole kernel, so that one entry "
        "becomes as many as the kernel has, and the size grows: 2×2 becomes 4×4."
    },
    decisions=(
        cleaner(
            "C3-kernel-5",
            KERNEL_5,
            "Where the stride does not divide the kernel, a transposed convolution leaves a checkerboard that resizing "
            "does not.",
        ),
        cleaner(
            "C3-kernel-4",
            KERNEL_4,
            "A transposed convolution of kernel 4 leaves a checkerboard that resizing does not.",
        ),
        cleaner("C3-shuffle", SHUFFLED, "Pixel shuffle leaves a checkerboard that resizing does not."),
    ),
    demonstrates="transposed_convolution",
    curve="metrics/checkerboard",
    table_metrics=(
        "checkerboard",
        "checkerboard_period_2",
        "checkerboard_period_4",
        "fid_normalized",
        "fid_pixels",
        "coverage",
    ),
    related_work=(
        "Odena et al. 2016 show the uneven overlap of indivisible kernels, and resizing as a way round it, by eye and "
        "without seeds.",
    ),
    limits=(
        "C3 describes an operation, which is shown by hand. What is tested here is what follows from it.",
        "A checkerboard is power above that of real images, at the period with most of it: 4, which the first of two "
        "layers leaves, or 2. Less power than real images have is what resizing takes away, and is told with its sign.",
        "Judged on trained networks: a discriminator may teach the generator to undo what its layers would leave.",
        "Images of 28×28 and a narrow network, because 8×8 has no room for the frequencies that are measured.",
    ),
)
