"""Which examples train and which stay unlabelled: the draws that protocols share. The protocols are one folder on."""
