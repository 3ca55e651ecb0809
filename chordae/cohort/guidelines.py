"""What guidelines and consensus documents say about the eight categories, in our own words, each with its source.

Shortened to what a CMR record can show; for teaching a demonstrator, not for treating anybody.
"""

from __future__ import annotations

from dataclasses import dataclass

from chordae.platform.diagnosis.category import Category

SOURCES: dict[str, str] = {
    "adler": "Adler et al., Eur Heart J 2015;36:2921",
    "arbelo": "Arbelo et al., Eur Heart J 2023;44:3503",
    "baumgartner": "Baumgartner et al., Eur Heart J 2021;42:563",
    "caforio": "Caforio et al., Eur Heart J 2013;34:2636",
    "cerqueira": "Cerqueira et al., Circulation 2002;105:539",
    "dorbala": "Dorbala et al., J Nucl Cardiol 2019;26:2065",
    "elliott": "Elliott et al., Eur Heart J 2014;35:2733",
    "ferreira": "Ferreira et al., J Am Coll Cardiol 2018;72:3158",
    "garcia-pavia": "Garcia-Pavia et al., Eur Heart J 2021;42:1554",
    "humbert": "Humbert et al., Eur Heart J 2022;43:3618",
    "hundley": "Hundley et al., J Cardiovasc Magn Reson 2022;24:29",
    "ibanez": "Ibanez et al., Eur Heart J 2018;39:119",
    "kawel-boehm": "Kawel-Boehm et al., J Cardiovasc Magn Reson 2020;22:87",
    "kramer": "Kramer et al., J Cardiovasc Magn Reson 2020;22:17",
    "lang": "Lang et al., Eur Heart J Cardiovasc Imaging 2015;16:233",
    "maceira": "Maceira et al., J Cardiovasc Magn Reson 2006;8:417 and Eur Heart J 2006;27:2879",
    "marcus": "Marcus et al., Eur Heart J 2010;31:806",
    "messroghli": "Messroghli et al., J Cardiovasc Magn Reson 2017;19:75",
    "petersen": "Petersen et al., J Am Coll Cardiol 2005;46:101",
    "pinto": "Pinto et al., Eur Heart J 2016;37:1850",
    "schulz-menger": "Schulz-Menger et al., J Cardiovasc Magn Reson 2020;22:19",
    "thygesen": "Thygesen et al., Eur Heart J 2019;40:237",
}
"""Guidelines and consensus documents of ESC, SCMR, EACVI and their sister societies; Maceira and Petersen are the
studies that those take ranges and a criterion from."""


@dataclass(frozen=True)
class Fact:
    """One thing to know."""

    about: str
    """Completes "What is known about ...?"."""
    source: str
    """Key of `SOURCES`."""
    says: str


@dataclass(frozen=True)
class Distinction:
    """How to tell two categories apart."""

    first: Category
    second: Category
    source: str
    says: str
    """With places for the names of both."""


CRITERION: dict[Category, Fact] = {
    "myocardial infarction": Fact("the imaging evidence of myocardial infarction", "thygesen",
         "Loss of viable myocardium or a regional wall motion abnormality in a pattern that fits an ischaemic cause"),
    "right-ventricular abnormality": Fact("an abnormal right ventricle", "marcus",
         "An RV EF or an RV EDV index outside its range; where its wall moves abnormally too, an RV EDV index of at "
         "least 110 mL/m2 in men or 100 mL/m2 in women, or an RV EF of 40 % or less, is a major criterion of "
         "arrhythmogenic disease"),
    "LV non-compaction": Fact("the CMR criterion of LV non-compaction", "petersen",
         "A trabeculated layer more than 2.3 times as thick as the compact layer at end-diastole suggests it"),
    "hypertrophic cardiomyopathy": Fact("the wall thickness that defines hypertrophic cardiomyopathy", "elliott",
         "A wall of 15 mm or more in any segment that loading does not explain; 13 to 14 mm need other evidence, such "
         "as the family's"),
    "amyloidosis": Fact("the CMR signs of cardiac amyloidosis", "garcia-pavia",
         "Diffuse subendocardial or transmural late enhancement, abnormal gadolinium kinetics and an extracellular "
         "volume of 40 % or more; CMR alone does not prove the type"),
    "dilated cardiomyopathy": Fact("the definition of dilated cardiomyopathy", "arbelo",
         "LV dilatation with systolic dysfunction that neither abnormal loading nor coronary disease explains"),
    "myocarditis": Fact("the updated Lake Louise criteria", "ferreira",
         "One T2-based sign of oedema together with one T1-based sign of injury (native T1, extracellular volume or "
         "late enhancement) make acute inflammation likely; one of them alone may still support it where the clinic "
         "fits"),
    "normal": Fact("a normal CMR study", "kawel-boehm",
         "Volumes, function and mass lie in the range for sex and body size, all walls move, nothing enhances late and "
         "the maps are those of the site's healthy people; that does not exclude every disease"),
}  # fmt: skip
"""What decides, by category."""

FACTS: dict[Category, tuple[Fact, ...]] = {
    "myocardial infarction": (
        Fact("late enhancement after infarction", "schulz-menger",
             "It begins at the endocardium, may reach the epicardium and lies in the territory of a coronary artery"),
        Fact("T2 after infarction", "messroghli",
             "Oedema raises T2 in an acute infarction; in an old scar T2 is no longer raised"),
        Fact("LV volumes after a large infarction", "ibanez",
             "The ventricle may dilate while its ejection fraction falls"),
        Fact("preserved LV EF in infarction", "thygesen",
             "A small infarction can leave the ejection fraction normal; scar on late enhancement still shows it"),
    ),
    "right-ventricular abnormality": (
        Fact("the right ventricle in pulmonary hypertension", "humbert",
             "It thickens and dilates, its ejection fraction falls and the septum flattens"),
        Fact("the right ventricle in atrial septal defect", "baumgartner",
             "The shunt loads it with volume, so that it dilates"),
        Fact("measuring the right ventricle by CMR", "humbert",
             "CMR is accurate and reproducible for its volumes and ejection fraction"),
    ),
    "LV non-compaction": (
        Fact("trabeculation in healthy people", "arbelo",
             "Prominent trabeculation is also seen in athletes, in pregnancy and in other healthy people, and is then "
             "no disease"),
        Fact("how the ESC sees LV non-compaction", "arbelo",
             "As a trait, hypertrabeculation, that may go with a cardiomyopathy, not as a cardiomyopathy of its own"),
        Fact("LV function in non-compaction", "arbelo",
             "It may be normal or reduced; a dilated, weak ventricle makes disease likelier"),
    ),
    "hypertrophic cardiomyopathy": (
        Fact("late enhancement in hypertrophic cardiomyopathy", "elliott",
             "It is often patchy and mid-wall in the thickest segments and at the insertion points of the right "
             "ventricle; some patients have none"),
        Fact("LV EF in hypertrophic cardiomyopathy", "elliott",
             "It is usually normal or high; below 50 % is a late and serious stage"),
        Fact("apical hypertrophic cardiomyopathy", "elliott",
             "The thickening lies at the apex, where CMR shows it better than echo"),
        Fact("extensive late enhancement in hypertrophic cardiomyopathy", "arbelo",
             "About 15 % of the mass or more goes with a higher risk of sudden death"),
    ),
    "amyloidosis": (
        Fact("the wall in cardiac amyloidosis", "garcia-pavia",
             "12 mm or more that nothing else explains should raise the suspicion; the thickening is usually "
             "concentric"),
        Fact("native T1 in cardiac amyloidosis", "messroghli",
             "It is markedly raised, since amyloid fills the extracellular space"),
        Fact("the atria and pericardium in cardiac amyloidosis", "dorbala",
             "Enlarged atria and a pericardial effusion are common"),
        Fact("LV EF in cardiac amyloidosis", "dorbala",
             "It is often preserved until late, while strain and long-axis function fall early"),
    ),
    "dilated cardiomyopathy": (
        Fact("late enhancement in dilated cardiomyopathy", "arbelo",
             "Many patients have none; where there is some, it is typically mid-wall in the septum"),
        Fact("reduced function without dilatation", "pinto",
             "It has been called hypokinetic non-dilated cardiomyopathy and belongs to the spectrum of dilated "
             "cardiomyopathy"),
        Fact("wall motion in dilated cardiomyopathy", "pinto",
             "It is usually reduced globally, not in a coronary territory"),
        Fact("the right ventricle in dilated cardiomyopathy", "pinto",
             "It may dilate and weaken too"),
    ),
    "myocarditis": (
        Fact("late enhancement in myocarditis", "ferreira",
             "It is subepicardial or mid-wall, often in the lateral and inferolateral wall, and not in a coronary "
             "territory"),
        Fact("supportive signs of myocarditis", "ferreira",
             "Pericardial effusion or enhancement and LV systolic dysfunction support it but do not decide"),
        Fact("LV volumes in myocarditis", "caforio",
             "They are often normal, above all in mild disease"),
        Fact("T2 in healed myocarditis", "ferreira",
             "Oedema subsides, so that T2 may be normal while late enhancement stays"),
    ),
    "normal": (
        Fact("reference ranges", "kawel-boehm",
             "They depend on sex, age, body size and on how contours are drawn: each value belongs beside its range"),
        Fact("normal T1 and T2", "messroghli",
             "They depend on field strength, scanner and sequence: each site needs its own ranges"),
    ),
}  # fmt: skip
"""More of each category."""

METHOD: tuple[Fact, ...] = (
    Fact("papillary muscles in contours", "schulz-menger",
         "They may count to the mass or to the blood, if always done alike and reported"),
    Fact("when late enhancement is imaged", "kramer",
         "From about ten minutes after the contrast agent"),
    Fact("ischaemic and non-ischaemic enhancement", "schulz-menger",
         "Ischaemic enhancement involves the endocardium in a coronary territory; enhancement that spares the "
         "endocardium is not ischaemic"),
    Fact("a CMR report", "hundley",
         "It gives measured values with reference ranges, describes findings and ends in an impression that answers "
         "the question"),
    Fact("indexing", "kawel-boehm",
         "Volumes and mass are divided by the body surface before they are compared"),
    Fact("the size of a pericardial effusion", "adler",
         "Below 10 mm it is small, 10 to 20 mm moderate, above 20 mm large"),
    Fact("an enlarged left atrium", "lang",
         "Its largest volume is above 34 mL/m2"),
    Fact("a study without contrast agent", "messroghli",
         "Late enhancement is then unknown, not absent; native T1 and T2 need no contrast"),
)  # fmt: skip

DISTINCTIONS: tuple[Distinction, ...] = (
    Distinction("myocardial infarction", "myocarditis", "ferreira",
                "Enhancement from the endocardium in a coronary territory speaks for {first}, subepicardial "
                "enhancement that spares the endocardium for {second}; both can raise T1 and T2"),
    Distinction("myocardial infarction", "dilated cardiomyopathy", "pinto",
                "Both can have a large, weak ventricle: scar and wall motion that follow a coronary territory speak "
                "for {first}, globally reduced motion with no or mid-wall enhancement for {second}"),
    Distinction("hypertrophic cardiomyopathy", "amyloidosis", "garcia-pavia",
                "Both have thick walls: uneven thickening, patchy enhancement and a good ejection fraction speak for "
                "{first}; concentric thickening, diffuse subendocardial enhancement, markedly raised T1 and large "
                "atria for {second}"),
    Distinction("hypertrophic cardiomyopathy", "right-ventricular abnormality", "elliott",
                "Enhancement at the insertion points occurs in both: a thick LV wall speaks for {first}, a large or "
                "weak right ventricle for {second}"),
    Distinction("hypertrophic cardiomyopathy", "normal", "elliott",
                "A wall of 15 mm or more is not normal; mild thickening may come from pressure or sport"),
    Distinction("dilated cardiomyopathy", "LV non-compaction", "petersen",
                "Both can have a large, weak left ventricle: a trabeculated layer more than 2.3 times as thick as the "
                "compact one speaks for {second}"),
    Distinction("dilated cardiomyopathy", "myocarditis", "caforio",
                "A large ventricle with mid-wall or no enhancement speaks for {first}; normal volumes, subepicardial "
                "enhancement and raised T2 for {second}, which can turn into the other"),
    Distinction("myocarditis", "normal", "ferreira",
                "Volumes and ejection fraction can be normal in both: subepicardial enhancement or raised T1 and T2 "
                "speak for {first}"),
    Distinction("LV non-compaction", "normal", "arbelo",
                "Trabeculation alone may be harmless; with a reduced ejection fraction disease is likelier"),
    Distinction("right-ventricular abnormality", "normal", "kawel-boehm",
                "RV EF and RV EDV index outside their ranges decide; the left ventricle may be normal in both"),
    Distinction("right-ventricular abnormality", "dilated cardiomyopathy", "pinto",
                "Both can weaken the right ventricle: a left ventricle of normal size and function speaks for {first}"),
    Distinction("amyloidosis", "dilated cardiomyopathy", "dorbala",
                "Both can reduce the ejection fraction: thick walls around a cavity that is not large speak for "
                "{first}"),
)  # fmt: skip
"""The pairs that records confuse."""
