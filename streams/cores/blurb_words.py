"""English words that the rules of blurbs go by: lists of our own, under the project's licence."""

from __future__ import annotations

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STARTERS: Final = _words(
    "a about after against all also although among an and another any are as at before behind beneath between "
    "both but by can come could discover do does don't dive each enjoy enter even every everyone everything "
    "experience expect explore fall filled follow for from full get here how if in inside into is it its it's "
    "join just lose let meet more most no not nothing now of on once one only or our out over perfect prepare "
    "quite ready see set sit so some step such take that the their there these they this those though through to "
    "together too under until up watch we welcome what what's when where whether which while who whoever why will "
    "with within without witness you you'll your"
)
"""What a sentence may begin with; as its first word, with a capital, it is no name."""
FUNCTION: Final = STARTERS | _words(
    "am be been being did had has have having he her him his i me my she than them then us very was were would "
    "again because during each few me must nor off other own same should film movie story that's there's they're"
)
"""Common words: enough of them, and a text is English."""
FIRST_PERSON: Final = _words("i me my we our us")
NUMBERS: Final = _words(
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands "
    "million millions billion billions dozen dozens decade decades century centuries pair trio duo twins third "
    "fourth fifth"
)
PEOPLE: Final = _words(
    "he him his himself she her hers herself man men woman women boy boys girl girls guy guys kid kids child "
    "children baby teenager teenagers teen teens father mother dad mom son sons daughter daughters brother "
    "brothers sister sisters siblings husband wife family families couple couples parents friend friends "
    "friendship lover lovers stranger strangers neighbor neighbors hero heroes heroine villain villains "
    "protagonist protagonists character characters detective detectives cop cops police officer officers killer "
    "killers murderer criminal criminals gang gangs gangster gangsters thief thieves spy spies agent agents "
    "soldier soldiers army king queen prince princess doctor scientist scientists teacher student students artist "
    "singer musician musicians writer journalist lawyer boss worker team crew group band astronaut astronauts "
    "pirate pirates vampire vampires zombie zombies alien aliens ghost ghosts monster monsters witch wizard robot "
    "robots dragon dragons dog dogs cat cats animals creature creatures"
)
"""Whoever is told of is a fact: without them in the record nobody is."""
CLAIMS: Final = _words(
    "award awards award-winning winner winners won wins winning nominated nomination nominee oscar acclaimed "
    "acclaim best-selling bestselling bestseller blockbuster hit critics critic critically reviews rated rating "
    "director directors directed directs filmmaker filmmakers starring stars star starred cast actor actors "
    "actress actresses performances performance produced producer production studio written screenplay novel "
    "novels book books author based sequel prequel remake reboot franchise series trilogy episode season "
    "adaptation adapted premiere premiered premieres released release box-office budget documentary biography "
    "biographical real-life true musical animated soundtrack score inspired debut version original latest new "
    "today recent upcoming blurb blurbs summary synopsis review prompt tags genre genres title titled sentence "
    "sentences reader readers ai language"
)
"""Claims about the work, and words of a text that talks about itself."""
COARSE: Final = _words(
    "fuck fucks fucked fucker fuckers fucking motherfucker motherfuckers motherfucking shit shits shitty bullshit "
    "crap crappy piss pissed ass asses asshole assholes arse arsehole bastard bastards bitch bitches bitchy damn "
    "damned goddamn hell cunt cunts cock cocks dick dicks dickhead prick pricks pussy pussies twat twats wank "
    "wanker wankers bollocks bugger buggered slut sluts slutty whore whores whoring tits titties boobs dildo "
    "blowjob handjob cum porn porno rape raped rapes rapist nigger niggers nigga niggas faggot faggots fag fags "
    "dyke dykes tranny trannies retard retards retarded spic spics chink chinks gook gooks kike kikes paki pakis "
    "wetback wetbacks raghead coon coons spastic"
)
"""Never in a blurb, save where the record itself has the word."""
NEUTRAL: Final = _words(
    "film story tale journey look world life moment moments way time evening night screen start end mood tone "
    "feeling feelings heart side edge turn turns twist twists touch sense spirit style mix blend ride pleasure "
    "treat worth something someone anyone lives times about always never ever still even really truly simply just "
    "too very much many little big great good fine rich deep bold bright dark light warm cold quiet loud slow "
    "fast quick sharp soft hard strong gentle tender moving gripping thrilling tense intense playful clever smart "
    "fresh strange wild honest simple beautiful lovely striking vivid haunting lively stylish powerful "
    "unforgettable memorable surprising exciting curious captivating compelling engaging entertaining absorbing "
    "atmospheric emotional thoughtful touching charming delightful full mixed told tells tell brings bring "
    "bringing takes take taking keeps keep keeping leads lead leading leaves leave leaving makes make making "
    "gives give giving goes going go comes coming filled packed made set lets let pulls pull holds hold shows "
    "show showing explores explore exploring offers offer promises promise carries carry sit seat back enjoy "
    "watch watching see seeing feel feels follow follows following begins begin beginning ends ending wait waits "
    "waiting find finds finding meet meets long short first last best every minute want wants need needs fans fan "
    "viewers viewer audience audiences old new classic kind piece part heartfelt mind eyes breath away through "
    "along across around down off there where when starts stay stays"
)
"""Words that say how a work feels and nothing of what happens in it."""
MOODS: Final = {
    "action": _words("action fight fights chase danger dangerous explosive daring adrenaline power battle"),
    "adventure": _words("adventure adventures adventurous danger daring discovery quest unknown brave courage explore"),
    "animation": _words("animated animation colourful colorful imagination magic magical wonder drawn"),
    "biography": _words("life lives portrait real biography true"),
    "comedy": _words("comedy comic comedic funny humor humour laugh laughs laughter witty wit fun smile silly"),
    "crime": _words("crime crimes law justice danger dangerous dark underworld gritty guilt"),
    "documentary": _words("documentary real true facts truth"),
    "drama": _words("drama dramatic emotion emotions conflict passion struggle hope loss choices human"),
    "family": _words("family families children parents home together fun"),
    "fantasy": _words("fantasy fantastic magic magical wonder imagination dream dreams myth legend"),
    "film-noir": _words("noir shadows shadow dark crime fate smoky"),
    "history": _words("history historical past era age bygone"),
    "horror": _words("horror terror terrifying fear fears scary chilling creepy nightmare darkness dread spooky"),
    "music": _words("music musical song songs melody rhythm sound sounds"),
    "musical": _words("music musical song songs dance dances melody rhythm stage"),
    "mystery": _words("mystery mysteries mysterious secret secrets puzzle clues riddle hidden unknown suspense"),
    "news": _words("news"),
    "romance": _words("romance romantic love loves passion longing hearts desire kiss"),
    "sci-fi": _words("sci-fi science fiction future futuristic space technology imagination unknown"),
    "science fiction": _words("sci-fi science fiction future futuristic space technology imagination unknown"),
    "short": _words("short brief"),
    "sport": _words("sport sports game games competition victory"),
    "thriller": _words("thriller thrilling thrills suspense suspenseful tension danger dangerous fear secrets"),
    "war": _words("war wartime battle battles conflict courage sacrifice"),
    "western": _words("western west frontier dust guns wild saddle"),
}  # fmt: skip
"""What a tag lets a text speak of."""
