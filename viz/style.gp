# How Tandem's figures look. Edit this copy, or use another: gnuplot -e 'STYLE="mine.gp"' NAME.gp
# A script has set TERM, NAME, WIDTH and HEIGHT (pixels) and the array CAPTION (lines of text).
set encoding utf8
set datafile separator "\t"

# Wong's colours, which colour-blind readers tell apart (Nature Methods 8, 441, 2011).
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
VERMILLION = "#D55E00"
SKY = "#56B4E9"
PURPLE = "#CC79A7"
YELLOW = "#F0E442"
BLACK = "#000000"
INK = "#222222"
GREY = "#777777"
PALE = "#DDDDDD"
SHADE = "#EEEEEE"

# Dashes and points tell what colours tell: measured, simulated, ideal, single runs, held out.
set style line 1 lc rgb BLUE lw 2 dt 1 pt 7 ps 0.7
set style line 2 lc rgb VERMILLION lw 2 dt 2 pt 6 ps 0.9
set style line 3 lc rgb GREY lw 1.5 dt 3
set style line 4 lc rgb "#80B8D8" pt 7 ps 0.5
set style line 5 lc rgb "#EAAE80" pt 6 ps 0.6
set style line 6 lc rgb BLACK lw 1.5 dt 1 pt 5 ps 0.9
# Runs beside each other, and the same ones faint.
set style line 11 lc rgb BLUE lw 2 dt 1 pt 7 ps 0.6
set style line 12 lc rgb VERMILLION lw 2 dt 2 pt 6 ps 0.8
set style line 13 lc rgb GREEN lw 2 dt 4 pt 9 ps 0.8
set style line 14 lc rgb PURPLE lw 2 dt 5 pt 4 ps 0.8
set style line 15 lc rgb BLACK lw 2 dt 3 pt 2 ps 0.8
set style line 16 lc rgb ORANGE lw 2 dt (12,4) pt 5 ps 0.6
set style line 17 lc rgb SKY lw 2 dt (2,3) pt 11 ps 0.8
set style line 18 lc rgb GREY lw 2 dt (8,3,2,3,2,3) pt 13 ps 0.8
set style line 21 lc rgb "#A6CEE3" pt 7 ps 0.2
set style line 22 lc rgb "#F3C9A9" pt 7 ps 0.2
set style line 23 lc rgb "#A6DCCB" pt 7 ps 0.2
set style line 24 lc rgb "#EBD1DF" pt 7 ps 0.2
set style line 25 lc rgb "#AAAAAA" pt 7 ps 0.2
set style line 26 lc rgb "#F6DBA6" pt 7 ps 0.2
set style line 27 lc rgb "#C8E5F6" pt 7 ps 0.2
set style line 28 lc rgb "#D5D5D5" pt 7 ps 0.2

# Where time goes: neighbours differ in lightness, also when a category between them is empty, and
# each has a hatching of its own.
#                compute contended exposed bubble     waiting host   idle
array FILL[7] = [BLUE,   ORANGE,   YELLOW, VERMILLION, SKY,   BLACK, PALE]
array HATCH[7] = [4,     1,        5,      2,          7,     6,     0]

set border 3 lc rgb INK
set tics out nomirror
set grid lc rgb PALE lw 1 dt 1
set termoption noenhanced

# The terminal, the file's name, and the caption at the foot.
DUMB = TERM eq "dumb"
ENDING = TERM
if (TERM eq "pngcairo") { ENDING = "png" }
if (TERM eq "pdfcairo") { ENDING = "pdf" }
if (TERM eq "epscairo" || TERM eq "postscript") { ENDING = "eps" }
if (!exists("OUTPUT")) OUTPUT = NAME.".".ENDING
if (!exists("FONT")) FONT = "Helvetica,13"
if (!exists("COLUMNS")) COLUMNS = 79
if (!exists("ROWS")) ROWS = 23
if (!exists("ANSI")) ANSI = "mono"
if (DUMB) {
    eval sprintf("set terminal dumb nofeed noenhanced %s size %d,%d", ANSI, COLUMNS, ROWS)
    unset grid
    set key outside top center horizontal samplen 3
    set style line 1 pt "M"
    set style line 2 pt "S"
    set style line 6 pt "K"
} else {
    # Sizes of fonts are pixels, of which 96 make an inch.
    size = sprintf(" noenhanced font '%s' size %d,%d", FONT, WIDTH, HEIGHT)
    if (ENDING eq "svg") { size = size." background '#ffffff'" }
    if (ENDING eq "png") { size = size." fontscale 0.75" }
    if (ENDING eq "pdf" || ENDING eq "eps") {
        size = sprintf(" noenhanced font '%s' size %.2fin,%.2fin", FONT, WIDTH / 96.0, \
            HEIGHT / 96.0)
    }
    eval "set terminal ".TERM.size
    set output OUTPUT
    do for [i = 1:|CAPTION|] {
        y = (|CAPTION| - i + 0.8) * 15
        set label 100 + i CAPTION[i] at screen 12.0 / WIDTH, screen y / HEIGHT font ",11" \
            tc rgb INK
    }
}
# Where things stand, as shares of the canvas, so that the size of letters, which terminals differ
# in, does not matter: on top the title, under it the key; then the axes; their names; the caption.
LEFT = 74.0 / WIDTH
RIGHT = 1 - 22.0 / WIDTH
BOTTOM = (|CAPTION| * 15 + 66.0) / HEIGHT
TOP = 1 - 62.0 / HEIGHT
if (!DUMB) {
    set lmargin at screen LEFT
    set rmargin at screen RIGHT
    set bmargin at screen BOTTOM
    set tmargin at screen TOP
    set key at graph 0, graph 1.012 left bottom horizontal Left reverse samplen 3 width 1 maxrows 1
}

# A long title is smaller, and goes on in a second line from the blank nearest its middle.
near_middle(s, d) = d > 99 || d > strlen(s) / 2 ? 0 : \
    s[strlen(s) / 2 - d:strlen(s) / 2 - d] eq " " ? strlen(s) / 2 - d : \
    s[strlen(s) / 2 + d:strlen(s) / 2 + d] eq " " ? strlen(s) / 2 + d : near_middle(s, d + 1)
broken(s, at) = at > 1 ? s[1:at - 1]."\n".s[at + 1:strlen(s)] : s
in_lines(s) = strlen(s) > 60 ? broken(s, near_middle(s, 0)) : s

# `eval SHOW_NAMES` writes TITLE, XLABEL and YLABEL of the panel that begins at LEFT.
SHOW_NAMES = DUMB ? "set title MODEL.': '.YLABEL; set xlabel XLABEL" : \
    "set label 90 in_lines(TITLE) at graph 0.5, screen 1 - 18.0 / HEIGHT center ".\
    "font (strlen(TITLE) > 60 ? ',12' : ',14');".\
    "set label 91 XLABEL at graph 0.5, screen BOTTOM - 46.0 / HEIGHT center;".\
    "set label 92 YLABEL at screen LEFT - 54.0 / WIDTH, graph 0.5 center rotate by 90"
