#!/bin/sh
# Says in one line which variables on make's command line no goal takes, and which is likely meant.
#   variables.sh GOALS UNKNOWN TAKEN ALL LEVEL     lists of words; ALL: what some target takes
# Below another make, LEVEL 1 and more, there are variables of its own and of its other goals: only
# what is nearly a name of ours is refused.
set -eu
awk -v goals="$1" -v unknown="$2" -v taken="$3" -v all="$4" -v level="$5" '
function least(a, b) { return a < b ? a : b }
# How many letters must be added, left out, replaced or swapped with the next to get one of the
# other.
function distance(a, b,    i, j, d) {
    for (i = 0; i <= length(a); i++) d[i, 0] = i
    for (j = 0; j <= length(b); j++) d[0, j] = j
    for (i = 1; i <= length(a); i++)
        for (j = 1; j <= length(b); j++) {
            d[i, j] = d[i - 1, j - 1] + (substr(a, i, 1) != substr(b, j, 1))
            d[i, j] = least(d[i, j], 1 + least(d[i - 1, j], d[i, j - 1]))
            if (i > 1 && j > 1 && substr(a, i, 1) == substr(b, j - 1, 1) &&
                substr(a, i - 1, 1) == substr(b, j, 1))
                d[i, j] = least(d[i, j], d[i - 2, j - 2] + 1)
        }
    return d[length(a), length(b)]
}
# The word nearest to a name, in `best`; returns how far it is.
function nearest(name, words,    n, list, i, found, closest) {
    closest = 1000
    n = split(words, list, " ")
    for (i = 1; i <= n; i++) {
        found = distance(toupper(name), list[i])
        if (found < closest) { closest = found; best = list[i] }
    }
    return closest
}
BEGIN {
    gsub(/ +/, " ", goals)
    n = split(unknown, names, " ")
    for (k = 1; k <= n; k++) {
        name = names[k]
        far = least(3, int(length(name) / 2))
        if (level > 0 && (nearest(name, all) == 0 || nearest(name, all) > least(2, far))) continue
        said = said (said == "" ? "" : "; ") "make " goals " takes no " name "="
        if (nearest(name, taken) <= far) said = said ", the nearest is " best "="
        else if (nearest(name, all) == 0) said = said ", which is of other targets"
        else if (nearest(name, all) <= far)
            said = said ", nor the nearest, " best "=, which is of other targets"
        else if (nearest(name, taken) < 1000) said = said ", the nearest is " best "="
    }
    if (said == "") exit
    takes = taken == "" ? "no variables" : taken
    print said " (it takes " takes "; make help lists all)"
}' </dev/null
