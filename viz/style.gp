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
set style line 1 lc rgb BLUE lw 2 dt 1 pt 7 ps 0.8
set style line 2 lc rgb VERMILLION lw 2 dt 2 pt 6 ps 1.1
set style line 3 lc rgb GREY lw 1.5 dt 3
set style line 4 lc rgb "#A00072B2" pt 7 ps 0.4
set style line 5 lc rgb "#A0D55E00" pt 6 ps 0.5
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
set style line 21 lc rgb "#B00072B2" pt 7 ps 0.2

# Where time goes: neighbours differ in lightness, also when a category between them is empty, and
# each has a hatching of its own.
#                compute contended exposed bubble     waiting host   idle
array FILL[7] = [BLUE,   ORANGE,   YELLOW, VERMILLION, SKY,   BLACK, PALE]
array HATCH[7] = [4,     1,        5,      2,          7,     6,     0]

set border 3 lc rgb INK
set tics out nomirror
set grid lc rgb PALE lw 0.5 dt 1
set key outside top left horizontal Left reverse samplen 3 width 1 noenhanced
set termoption noenhanced

# The terminal, the file's name, and the caption at the foot.
DUMB = TERM eq "dumb"
ENDING = TERM
if (TERM eq "pngcairo") { ENDING = "png" }
if (TERM eq "pdfcairo") { ENDING = "pdf" }
if (TERM eq "epscairo" || TERM eq "postscript") { ENDING = "eps" }
if (!exists("OUTPUT")) OUTPUT = NAME.".".ENDING
if (!exists("FONT")) FONT = "Helvetica,12"
if (!exists("COLUMNS")) COLUMNS = 79
if (!exists("ROWS")) ROWS = 23
if (!exists("ANSI")) ANSI = "mono"
if (DUMB) {
    eval sprintf("set terminal dumb nofeed noenhanced %s size %d,%d", ANSI, COLUMNS, ROWS)
    unset grid
    set key noreverse Right samplen 2
} else {
    size = sprintf(" noenhanced font '%s' size %d,%d", FONT, WIDTH, HEIGHT)
    if (ENDING eq "svg") { size = size." background '#ffffff'" }
    if (ENDING eq "pdf" || ENDING eq "eps") {
        size = sprintf(" noenhanced font '%s' size %.2fin,%.2fin", FONT, WIDTH / 96.0, HEIGHT / 96.0)
    }
    eval "set terminal ".TERM.size
    set output OUTPUT
    do for [i = 1:|CAPTION|] {
        set label 100 + i CAPTION[i] at screen 12.0 / WIDTH, screen (|CAPTION| - i + 0.7) * 14 / HEIGHT \
            font ",9.5" tc rgb INK noenhanced
    }
}
# Margins as shares of the height; a title with the key under it on top, the axis and caption below.
BOTTOM = (|CAPTION| * 14 + 58.0) / HEIGHT
TOP = 1 - 66.0 / HEIGHT
if (!DUMB) {
    set bmargin at screen BOTTOM
    set tmargin at screen TOP
}
