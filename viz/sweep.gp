# A step against the values of one option: simulated, measured, where it is least.
XLABEL = KEY.(LOG ? " (log scale)" : "")
if (!DUMB) {
    LEFT = 92.0 / WIDTH
    set lmargin at screen LEFT
}
eval SHOW_NAMES
if (!DUMB) { set label 92 at screen LEFT - 74.0 / WIDTH, graph 0.5 }
set xrange [XMIN:XMAX]
set yrange [0<*:*]
set offsets 0, 0, graph 0.14, graph 0.16
if (LOG) { set logscale x 2 }
set xtics ("" LOG ? XMIN / 2 : XMIN - 1)
do for [i = 1:|TICKS|] { set xtics add (TICKS[i] PLACES[i]) }
if (|TICKS| > 9) { set xtics rotate by 35 right font ",11" }
if (HIGH > LOW && !DUMB) {
    set object 93 rectangle from LOW, graph 0 to HIGH, graph 1 behind fc rgb SHADE fs solid noborder
    set label 93 "within 1 %" at LOG ? sqrt(LOW * HIGH) : (LOW + HIGH) / 2, graph 0.03 center \
        font ",11" tc rgb GREY
}
if (MEASURED_HIGH > MEASURED_LOW && !DUMB) {
    set arrow 94 from MEASURED_LOW, graph 0.09 to MEASURED_HIGH, graph 0.09 \
        heads size screen 0.006, 90 lc rgb BLUE lw 2
    set label 94 "least measured, 95 %" at LOG ? sqrt(MEASURED_LOW * MEASURED_HIGH) : \
        (MEASURED_LOW + MEASURED_HIGH) / 2, graph 0.125 center font ",11" tc rgb BLUE
}
lines = "plot "
do for [i = 1:|SERIES|] {
    name = SERIES[i]
    style = name eq "measured" ? 1 : 2
    lines = lines.(i > 1 ? ", " : "").sprintf("DATA index '%s' using 3:4", name).\
        (name eq "measured" && !DUMB ? ":5:6 with yerror".(NUMBERS ? "lines" : "bars") : \
            " with ".(NUMBERS ? "lines" : "")."points").\
        sprintf(" ls %d title '%s'", style, name)
}
LEAST = ", DATA index 'least' using 3:4"
lines = lines.LEAST." with points pt 6 ps 2.2 lw 2 lc rgb BLACK title 'least'".\
    LEAST.":(sprintf('%.5g', $4)) with labels offset 0, -1.3 font ',12' notitle"
eval lines
