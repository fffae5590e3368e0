# A tornado: the step with each number 10 % less (filled) and 10 % more (hatched), largest on top.
XLABEL = "change of the step's time (%)"
YLABEL = ""
LEFT = 262.0 / WIDTH
if (!DUMB) { set lmargin at screen LEFT }
eval SHOW_NAMES
if (DUMB) { set title TITLE }
REACH = 1.3 * MOST
set xrange [-REACH:REACH]
set yrange [-0.6:BARS - 0.4]
unset ytics
set format x "%+g"
set xtics add ("0" 0)
set border 1
set arrow 1 from 0, graph 0 to 0, graph 1 nohead lc rgb INK front
left(x) = x < 0 ? x : 0
right(x) = x < 0 ? 0 : x
box(side, c) = sprintf("DATA index '%s' using (0):4:(left(column(%d))):(right(column(%d))):", \
    side, c, c)."($4 - $5):($4 + $5) with boxxyerror"
# At the end of a bar; of the others nothing: gnuplot 5.4 crashes at labels without any point.
at_left(x) = x < 0 ? sprintf("%+.2f", x) : ""
at_right(x) = x < 0 ? "" : sprintf("%+.2f", x)
said(side, text, where) = sprintf("DATA index '%s' using 7:4:(%s($7)) with labels %s", \
    side, text, where)." font ',11' notitle"
# Bars, what they say at their ends, and the names of the numbers with what they are now.
eval "plot ".box("10 % less", 7)." fc rgb BLUE fs solid border lc rgb INK title '10 % less', ".\
    box("10 % more", 7)." fc rgb VERMILLION fs pattern 4 border lc rgb INK title '10 % more', ".\
    said("10 % less", "at_left", "right offset -0.5, 0").", ".\
    said("10 % less", "at_right", "left offset 0.5, 0").", ".\
    said("10 % more", "at_left", "right offset -0.5, 0").", ".\
    said("10 % more", "at_right", "left offset 0.5, 0").\
    ", DATA index '10 % less' using (-REACH):1:3 with labels right offset -1, 0 notitle".\
    ", DATA index '10 % less' using (-REACH):1:2 with labels right offset -12, 0 notitle"
