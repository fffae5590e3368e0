# Efficiency against ranks, always on a linear axis from zero.
XLABEL = RANKS.(LOG ? " (log scale)" : "")
YLABEL = "efficiency (%)"
eval SHOW_NAMES
if (LOG) { set logscale x 2 }
set yrange [0:YMAX]
set ytics 20
set xrange [XMIN:XMAX]
eval "set xtics (".XTICS.")"
if (SHADE_FROM > 0 && !DUMB) {
    set object 93 rectangle from SHADE_FROM, graph 0 to graph 1, graph 1 behind fc rgb SHADE \
        fs solid noborder
    set label 93 "ranks share cores" at graph 0.985, graph 0.03 right font ",11" tc rgb GREY
}
beside(ranks) = LOG ? 1.03 * ranks : ranks + 0.012 * XMAX
lines = "plot DATA index 'ideal' using 2:6 with lines ls 3 title 'ideal'"
do for [i = 1:|SERIES|] {
    name = SERIES[i]
    style = name eq "measured" ? 1 : 2
    bars = name eq "measured" ? INTERVALS : 0
    if (!DUMB && name eq "measured" && REPEATS > 1) {
        lines = lines.", DATA index 'runs measured' using (beside($2)):6".\
            " with points ls 4 notitle"
    }
    lines = lines.sprintf(", DATA index '%s' using 2:6", name).\
        (!DUMB && bars ? ":7:8 with yerrorlines" : " with linespoints")
    lines = lines.sprintf(" ls %d title '%s'", style, name)
}
eval lines
