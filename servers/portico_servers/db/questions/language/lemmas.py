"""The irregular verbs of English: form -> the verb. A closed class; forms that are rather something else are left out."""

from __future__ import annotations

from collections.abc import Mapping

_FORMS = """
arise arose arisen; awake awoke awoken; beat beaten; become became; begin began begun; bend bent; bite bitten; blow blew
blown; break broke broken; bring brought; build built; burn burnt; buy bought; catch caught; choose chose chosen; cling
clung; come came; creep crept; deal dealt; die died dying; dig dug; do did done; draw drew drawn; dream dreamt; drink
drank drunk; drive drove driven; eat ate eaten; fall fell fallen; feed fed; fight fought; fly flew flown; forbid forbade
forbidden; forget forgot forgotten; forgive forgave forgiven; freeze froze frozen; get got gotten; give gave given; go
went gone; grow grew grown; hang hung; have had; hear heard; hide hid hidden; hold held; keep kept; kneel knelt; know
knew known; lead led; learn learnt; leave left; lend lent; lose lost; make made; mean meant; meet met; pay paid; ride
rode ridden; ring rang rung; run ran; say said; see seen; seek sought; sell sold; send sent; sew sewn; shake shook
shaken; shine shone; show shown; shrink shrank shrunk; sing sang sung; sink sank sunk; sit sat; sleep slept; slide slid;
speak spoke spoken; spend spent; spill spilt; spring sprang sprung; stand stood; steal stole stolen; stick stuck; sting
stung; strike struck stricken; swear swore sworn; sweep swept; swell swollen; swim swam swum; swing swung; take took
taken; teach taught; tear tore torn; tell told; think thought; throw threw thrown; undergo underwent undergone;
understand understood; wake woke woken; wear wore worn; weave wove woven; weep wept; win won; write wrote written;
withdraw withdrew withdrawn; undertake undertook undertaken
"""
IRREGULAR: Mapping[str, str] = {form: verb for entry in _FORMS.split(";") for verb, *forms in [entry.split()] for form in forms}
