"""C4: can a DCGAN draw what a caption says?"""

from benchmarks.questions.arms import room_for_convolutions
from benchmarks.questions.base import Arm, Contrast, Decision, Outcome, Question, different

CAPTIONS = Arm("captions", "dcgan_text", "captions", "captions")
MATCHING = CAPTIONS.vary("captions-matching", "captions, matching-aware discriminator", matching_aware=True)
SHUFFLED = CAPTIONS.vary(
    "captions-shuffled", "captions of other images", shuffled_conditions=True, lr_from=CAPTIONS.name
)

AGREEMENT = Outcome(
    "share of samples that look real and of which every word is true, for captions that training never showed, over "
    "the last quarter of training",
    ("metrics/caption_agreement_held_out",),
    "more",
    noun="the share of images that fit a new caption",
)

QUESTION = Question(
    name="text_to_image",
    title="From text to image",
    asks="Does an encoded text beside the noise make the generator draw what the text says?",
    claims={
        "C4": "Encode the text as a vector, concatenate it with the noise, and let transposed convolutions make the "
        "image that fits the text."
    },
    decisions=(
        Decision(
            "C4-captions",
            "C4",
            "Images fit captions that training never showed, as those of a control that was trained on the captions of "
            "other images do not.",
            (Contrast(CAPTIONS, SHUFFLED, AGREEMENT, 0.05, 0.20),),
            "one image in five that fits in every word beyond chance; within one in twenty it is contradicted",
            "agreement that is not above the control's by more than .05",
            equal="networks, updates, tuned settings, data",
            checks=room_for_convolutions(CAPTIONS),
            may_stay_at_chance=(SHUFFLED,),
        ),
        Decision(
            "C4-matching",
            "C4",
            "A discriminator that also sees real images with wrong captions changes how well images fit.",
            (different(MATCHING, CAPTIONS, AGREEMENT, 0.10),),
            "one image in ten; chosen, not tuned",
            "nothing: the claim has no direction; within the margin there is no practical difference.",
            checks=room_for_convolutions(CAPTIONS),
        ),
    ),
    curve="metrics/caption_agreement_held_out",
    table_metrics=(
        "caption_agreement_held_out",
        "caption_agreement_seen",
        "caption_digit",
        "caption_thickness",
        "caption_slant",
        "fid_normalized",
    ),
    related_work=(
        "Reed et al. 2016 do so for flowers and birds, with a pretrained text encoder and a matching-aware "
        "discriminator, and judge by eye.",
    ),
    limits=(
        "Captions of three words, each of which training shows in other combinations: no sentence is understood here.",
        "The rule that reads thickness and slant from pixels is not always right on real images either; its share "
        "there stands in the table as real data.",
    ),
)
